//! What an expression reads, known without running it.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

/// One place where a variable is read: `steps.price.body` is the root `steps`
/// with the path `["price", "body"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The variable.
    pub root: String,
    /// The fields that are read from it, as far as they are plain names.
    pub path: Vec<String>,
    /// Where, in bytes from the start of the source.
    pub offset: usize,
    /// How many bytes the written path takes, as far as it is known.
    pub length: usize,
}

/// What an expression or template reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    all: Vec<Reference>,
}

impl References {
    /// Every place, in the order of the source.
    pub fn iter(&self) -> impl Iterator<Item = &Reference> {
        self.all.iter()
    }

    /// The variables that are read.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<&str> {
        self.all.iter().map(|r| r.root.as_str()).collect()
    }

    /// The `X` of every `steps.X`.
    #[must_use]
    pub fn steps(&self) -> BTreeSet<&str> {
        self.fields_of("steps")
    }

    /// The `X` of every `secrets.X`.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.fields_of("secrets")
    }

    /// The first fields that are read from the variable `root`.
    #[must_use]
    pub fn fields_of(&self, root: &str) -> BTreeSet<&str> {
        self.all.iter().filter(|r| r.root == root).filter_map(|r| r.path.first()).map(String::as_str).collect()
    }

    /// Adds what another expression reads, its places moved by `offset` bytes.
    pub(super) fn extend(&mut self, other: &References, offset: usize) {
        self.all.extend(other.all.iter().map(|r| Reference { offset: r.offset + offset, ..r.clone() }));
    }
}

/// The part of a variable that a program reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) whole: bool,
    pub(super) fields: BTreeMap<String, Wanted>,
}

/// For each variable the part that `references` name.
pub(super) fn wanted(references: &References) -> BTreeMap<String, Wanted> {
    let mut roots: BTreeMap<String, Wanted> = BTreeMap::new();
    for reference in &references.all {
        let mut node = roots.entry(reference.root.clone()).or_default();
        for field in &reference.path {
            node = node.fields.entry(field.clone()).or_default();
        }
        node.whole = true;
    }
    roots
}

/// Collects the references of `expr`.
pub(super) fn collect(expr: &IdedExpr, source: &SourceInfo) -> References {
    let mut collector = Collector { source, bound: Vec::new(), found: References::default() };
    collector.walk(expr);
    collector.found.all.sort_by_key(|r| r.offset);
    collector.found
}

/// The chain of plain names that `expr` spells: `a.b["c"].d` is `a` and `[b, c, d]`.
pub(super) fn chain(expr: &IdedExpr) -> Option<(&IdedExpr, &str, Vec<String>)> {
    let mut path = Vec::new();
    let mut node = expr;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                path.reverse();
                return Some((node, name, path));
            }
            Expr::Select(select) => {
                path.push(select.field.clone());
                node = &select.operand;
            }
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [operand, index] => {
                    let Expr::Literal(LiteralValue::String(name)) = &index.expr else { return None };
                    path.push(name.inner().to_owned());
                    node = operand;
                }
                _ => return None,
            },
            _ => return None,
        }
    }
}

struct Collector<'a> {
    source: &'a SourceInfo,
    bound: Vec<String>,
    found: References,
}

impl Collector<'_> {
    fn walk(&mut self, expr: &IdedExpr) {
        if let Some((ident, root, path)) = chain(expr) {
            if !root.starts_with('@') && !root.starts_with('#') && !self.bound.iter().any(|b| b == root) {
                let offset = offset_of(self.source, ident.id);
                let length = written(&self.source.source, offset, root, &path);
                self.found.all.push(Reference { root: root.to_owned(), path, offset, length });
            }
            return;
        }
        match &expr.expr {
            Expr::Call(call) => {
                // `optional.of(x)`, `math.abs(x)`: a namespace, not a variable.
                let namespace =
                    call.target.as_deref().is_some_and(|t| matches!(&t.expr, Expr::Ident(n) if is_namespace(n)));
                if let Some(target) = call.target.as_deref().filter(|_| !namespace) {
                    self.walk(target);
                }
                call.args.iter().for_each(|arg| self.walk(arg));
            }
            Expr::Comprehension(loops) => {
                self.walk(&loops.iter_range);
                self.walk(&loops.accu_init);
                let before = self.bound.len();
                self.bound.push(loops.iter_var.clone());
                self.bound.extend(loops.iter_var2.clone());
                self.bound.push(loops.accu_var.clone());
                self.walk(&loops.loop_cond);
                self.walk(&loops.loop_step);
                self.walk(&loops.result);
                self.bound.truncate(before);
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.walk(e)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.walk(&entry.key);
                            self.walk(&entry.value);
                        }
                        EntryExpr::StructField(field) => self.walk(&field.value),
                    }
                }
            }
            Expr::Select(select) => self.walk(&select.operand),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        }
    }
}

/// Names that only ever prefix functions.
pub(super) fn is_namespace(name: &str) -> bool {
    matches!(name, "math" | "lists" | "strings" | "optional")
}

/// Where the node `id` starts, in bytes.
pub(super) fn offset_of(source: &SourceInfo, id: u64) -> usize {
    let start = source.offset_for(id).map_or(0, |(start, _)| start as usize);
    start.min(source.source.len())
}

/// How many bytes of `source` at `offset` spell the path, without a trailing part that is written otherwise.
fn written(source: &str, offset: usize, root: &str, path: &[String]) -> usize {
    let Some(rest) = source.get(offset..).filter(|rest| rest.starts_with(root)) else { return root.len() };
    let mut length = root.len();
    for field in path {
        match rest[length..].strip_prefix('.').filter(|r| r.starts_with(field.as_str())) {
            Some(_) => length += 1 + field.len(),
            None => break,
        }
    }
    length
}

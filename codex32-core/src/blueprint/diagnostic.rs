//! What is wrong with a blueprint, and where.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Fault};

/// Whether a finding stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The blueprint cannot be used.
    Error,
    /// The blueprint works, though perhaps not as meant.
    Warning,
}

/// One thing that is wrong with a blueprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// `invalid`, or `too_large` where a limit is passed.
    pub code: Code,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// What to do about it ("did you mean …").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where, as a JSON pointer into the blueprint.
    pub pointer: String,
    /// Line in the text, from 1; 0 where there is no text.
    pub line: u32,
    /// Column in characters, from 1; 0 where there is no text.
    pub column: u32,
    /// How many characters are meant.
    pub length: u32,
    /// Whether the key at `pointer` is meant, and not its value.
    #[serde(skip)]
    pub(super) on_key: bool,
}

impl Diagnostic {
    /// An error at `pointer`.
    pub(super) fn error(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            code: Code::Invalid,
            message: message.into(),
            hint: None,
            pointer: pointer.into(),
            line: 0,
            column: 0,
            length: 0,
            on_key: false,
        }
    }

    /// A warning at `pointer`.
    pub(super) fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Self::error(pointer, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes the key the place.
    #[must_use]
    pub(super) fn on_key(mut self) -> Self {
        self.on_key = true;
        self
    }

    /// Makes it one of a passed limit.
    #[must_use]
    pub(super) fn too_large(mut self) -> Self {
        self.code = Code::TooLarge;
        self
    }
}

/// Everything that is wrong with a blueprint, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No findings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Adds findings.
    pub fn extend(&mut self, other: Diagnostics) {
        self.found.extend(other.found);
    }

    /// All findings.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter()
    }

    /// Findings, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.found.iter_mut()
    }

    /// How many findings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether the blueprint cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|d| d.severity == Severity::Error)
    }

    /// Keeps the findings that `keep` wants.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.found.retain(keep);
    }

    /// Puts the findings into the order of the text.
    pub(super) fn sort(&mut self) {
        self.found.sort_by_key(|d| (d.line, d.column, d.severity));
        self.found.dedup();
    }

    /// The findings as a compiler would print them: each with its line of
    /// `text` and a caret, in ANSI colours where `colour`.
    ///
    /// ```
    /// use codex32_core::blueprint;
    /// let text = "codex32: v1\nname: hello\nsteps:\n  - wiat: 5m\n";
    /// let shown = blueprint::parse(text).unwrap_err().render(text, false);
    /// assert!(shown.contains("did you mean `wait`?"), "{shown}");
    /// assert!(shown.contains("^^^^"), "{shown}");
    /// ```
    #[must_use]
    pub fn render(&self, text: &str, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let lines = LineIndex::new(text);
        let shown = self.found.iter().map(|d| render_one(d, text, &lines, &renderer));
        shown.collect::<Vec<_>>().join("\n\n")
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(found: I) -> Self {
        Diagnostics { found: found.into_iter().collect() }
    }
}

impl std::fmt::Display for Diagnostics {
    /// One line for each finding: `line 3, column 5: message (hint)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, d) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match (d.line, d.pointer.as_str()) {
                (0, "") => f.write_str(&d.message)?,
                (0, pointer) => write!(f, "{pointer}: {}", d.message)?,
                (line, _) => write!(f, "line {line}, column {}: {}", d.column, d.message)?,
            }
            if let Some(hint) = &d.hint {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for Error {
    /// One error with a fault for each finding.
    fn from(diagnostics: Diagnostics) -> Self {
        let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        let too_large = errors.iter().any(|d| d.code == Code::TooLarge);
        let code = if too_large { Code::TooLarge } else { Code::Invalid };
        let message = match errors.as_slice() {
            [one] => format!("the blueprint is not valid: {}", one.message),
            several => format!("the blueprint has {} mistakes", several.len()),
        };
        let faults = errors.iter().map(|d| {
            let place = if d.line > 0 { format!("line {}, column {}: ", d.line, d.column) } else { String::new() };
            let hint = d.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
            Fault { pointer: d.pointer.clone(), message: format!("{place}{}{hint}", d.message) }
        });
        let error = Error::new(code, message).with_faults(faults);
        match errors.as_slice() {
            [Diagnostic { hint: Some(hint), .. }] => error.hint(hint.clone()),
            _ => error,
        }
    }
}

fn render_one(d: &Diagnostic, text: &str, lines: &LineIndex, renderer: &Renderer) -> String {
    let level = match d.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(d.message.as_str()));
    if let Some(range) = lines.range(text, d) {
        // Only the line itself is shown, so a text of 1 MiB is not walked for each finding.
        let (start, line) = lines.line(text, d.line);
        let span = range.start - start..range.end - start;
        let snippet = Snippet::source(line).line_start(d.line as usize).path("blueprint");
        group = group.element(snippet.annotation(AnnotationKind::Primary.span(span)));
    } else if !d.pointer.is_empty() {
        group = group.element(Level::NOTE.message(format!("at {}", d.pointer)));
    }
    if let Some(hint) = &d.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    renderer.render(&[group])
}

/// Where the lines of a text start, in bytes.
struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    fn new(text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        LineIndex { starts }
    }

    /// The start of line `number` (from 1), and the line without its end.
    fn line<'t>(&self, text: &'t str, number: u32) -> (usize, &'t str) {
        let index = (number as usize).saturating_sub(1);
        let Some(&start) = self.starts.get(index) else { return (text.len(), "") };
        let end = self.starts.get(index + 1).map_or(text.len(), |next| next - 1);
        (start, text[start..end].trim_end_matches('\r'))
    }

    /// The bytes that a finding means, within its line.
    fn range(&self, text: &str, d: &Diagnostic) -> Option<std::ops::Range<usize>> {
        if d.line == 0 || d.line as usize > self.starts.len() {
            return None;
        }
        let (start, line) = self.line(text, d.line);
        let byte = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(i, _)| i);
        let first = (d.column as usize).saturating_sub(1);
        let from = byte(first);
        let to = byte(first + d.length.max(1) as usize);
        Some(start + from..start + to)
    }
}

//! Statements as text: how many there are, how the first begins, names in them.

use crate::error::{Error, Result};

/// `table` or `schema.table`, each part quoted.
///
/// # Errors
/// `invalid` where a part is empty or too long.
pub(super) fn table(text: &str) -> Result<String> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 2 {
        return Err(Error::invalid(format!("\"{text}\" is no table")).at("/table", "must be table or schema.table"));
    }
    let quoted: Result<Vec<String>> = parts.into_iter().map(name).collect();
    Ok(quoted?.join("."))
}

/// A table's or column's name, quoted.
///
/// # Errors
/// `invalid` where it is none.
pub(super) fn name(text: &str) -> Result<String> {
    if text.is_empty() || text.len() > 128 || text.contains(|c: char| c.is_control()) {
        return Err(Error::invalid(format!("{text:?} is no name of a table or column")));
    }
    Ok(format!("\"{}\"", text.replace('"', "\"\"")))
}

/// The one statement of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lone<'s> {
    /// Its first word, in upper case.
    pub(super) first: String,
    /// Its text, without the `;` at its end and what follows.
    pub(super) text: &'s str,
}

/// The lone statement in `sql`.
///
/// # Errors
/// `invalid` where there is none or more than one.
pub(super) fn lone(sql: &str) -> Result<Lone<'_>> {
    let mut first = String::new();
    let mut end = None;
    let mut scan = Scan { rest: sql };
    while let Some(token) = scan.next()? {
        match token {
            ";" if first.is_empty() => {
                return Err(Error::invalid("the statement begins with ;").at("/sql", "begins with ;"));
            }
            ";" => end = end.or(Some(sql.len() - scan.rest.len() - 1)),
            _ if end.is_some() => {
                return Err(Error::invalid("there is more than one statement")
                    .at("/sql", "must be one statement")
                    .hint("use a step for each statement"));
            }
            token if first.is_empty() => first = token.to_ascii_uppercase(),
            _ => {}
        }
    }
    if first.is_empty() {
        return Err(Error::invalid("there is no statement").at("/sql", "must be a statement"));
    }
    Ok(Lone { first, text: &sql[..end.unwrap_or(sql.len())] })
}

struct Scan<'s> {
    rest: &'s str,
}

impl<'s> Scan<'s> {
    /// The next word, `;`, quoted piece or other character; comments and space are skipped.
    fn next(&mut self) -> Result<Option<&'s str>> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map(|(_, rest)| rest).ok_or_else(|| open("a comment"))?;
            } else {
                break;
            }
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let length = match first {
            '\'' | '"' | '`' => quoted(self.rest, first)?,
            '[' => self.rest.find(']').ok_or_else(|| open("a bracket"))? + 1,
            c if c.is_alphanumeric() || c == '_' => {
                self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(token))
    }
}

/// Length of the quoted piece at the start; a doubled quote is one inside.
fn quoted(text: &str, quote: char) -> Result<usize> {
    let mut inside = text[1..].char_indices().peekable();
    while let Some((at, c)) = inside.next() {
        if c == quote {
            if inside.peek().is_some_and(|(_, next)| *next == quote) {
                inside.next();
            } else {
                return Ok(at + 2);
            }
        }
    }
    Err(open("a quoted piece"))
}

fn open(what: &str) -> Error {
    Error::invalid(format!("{what} in the statement has no end")).at("/sql", format!("{what} has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_is_told_from_two() {
        for (sql, first, text) in [
            ("select 1", "SELECT", "select 1"),
            ("Select 1 /* x;y */ ; -- all;", "SELECT", "Select 1 /* x;y */ "),
            ("-- a; b\n/* c; d */ Select ';' ;; ", "SELECT", "-- a; b\n/* c; d */ Select ';' "),
            ("INSERT INTO t VALUES ('a;b', \"c;d\", `e;f`, [g;h], 'it''s; fine')", "INSERT", ""),
            ("ATTACH 'x' AS y", "ATTACH", ""),
            ("(select 1)", "(", ""),
        ] {
            let found = lone(sql).unwrap();
            assert_eq!((found.first.as_str(), found.text), (first, if text.is_empty() { sql } else { text }), "{sql}");
        }
        for bad in [
            "select 1; attach 'x' as y",
            "select ';' ; drop table t",
            "select 1 /* open",
            "select 'open",
            "select 1;--\ndelete from t",
            "",
            " ; -- nothing",
            ";;select 1",
        ] {
            assert!(lone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(table("orders").unwrap(), "\"orders\"");
        assert_eq!(table("shop.orders").unwrap(), "\"shop\".\"orders\"");
        assert_eq!(table("o\"; drop table x; --").unwrap(), "\"o\"\"; drop table x; --\"");
        for bad in ["", "a.", "a.b.c", ".", "a\0b", "a\nb"] {
            assert!(table(bad).is_err(), "{bad:?}");
        }
    }
}

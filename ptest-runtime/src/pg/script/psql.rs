//! A script as psql reads it (PostgreSQL manual, psql, "Meta-Commands"): statements, rows behind `COPY … FROM stdin`, and
//! commands that begin with a backslash. What a dump has of those is understood; what is for another database is skipped with
//! a word; any other command is refused by its name.

use std::borrow::Cow;

use crate::pg::sandbox::{next_statement, words};
use crate::pg::server::{DbError, quote_literal};

/// What is left to do about a command that is refused.
pub(super) const HELP: &str = "write it as SQL, or leave it out; what it includes can be a seed or a migration of its own. Of the \
    commands of psql, those that a dump has are understood";

/// A part of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'s> {
    Statement(Cow<'s, str>),
    /// A statement, the rows that follow it, and the line where they begin.
    Copy {
        sql: Cow<'s, str>,
        rows: &'s str,
        first: usize,
    },
    /// What is for another database.
    Skipped(&'s str),
}

/// A command that is not run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is a command of psql that ptest does not run")]
pub(crate) struct Refused(pub(crate) String);

/// The parts of a script, each with its line, from 1.
pub(super) struct Pieces<'s> {
    script: &'s str,
    at: usize,
    line: usize,
    /// Where the lines are counted up to.
    counted: usize,
    variables: Vec<(&'s str, String)>,
    /// Whether the script makes a database, and connects to it.
    connects: bool,
}

/// Whether a script has what only psql understands: a command, or rows.
pub(crate) fn has_commands(script: &str) -> bool {
    script.lines().any(|line| line.starts_with('\\'))
}

impl<'s> Pieces<'s> {
    pub(super) fn new(script: &'s str) -> Pieces<'s> {
        let connects = |line: &str| ["\\connect", "\\c"].contains(&line.split_whitespace().next().unwrap_or_default());
        let connects = script.lines().any(connects);
        // Some editors begin a file with it, and psql skips it.
        let at = if script.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        Pieces { script, at, line: 1, counted: 0, variables: Vec::new(), connects }
    }

    pub(super) fn next(&mut self) -> Option<(usize, Result<Piece<'s>, Refused>)> {
        loop {
            let (range, after) = next_statement(self.script.as_bytes(), self.at)?;
            let line = self.line_of(range.start);
            let text = &self.script[range.clone()];
            if range.is_empty() {
                let end = self.script[range.start..].find('\n').map_or(self.script.len(), |at| range.start + at);
                self.at = end;
                match self.command(self.script[range.start..end].trim_end()) {
                    Ok(None) => continue,
                    Ok(Some(skipped)) => return Some((line, Ok(Piece::Skipped(skipped)))),
                    Err(refused) => return Some((line, Err(refused))),
                }
            }
            self.at = after;
            return Some((line, self.statement(text, line)));
        }
    }

    fn statement(&mut self, text: &'s str, line: usize) -> Result<Piece<'s>, Refused> {
        if let Some(at) = command_in(text) {
            let name = text[at..].split_whitespace().next().unwrap_or_default();
            return Err(Refused(name.to_owned()));
        }
        let sql = self.interpolated(text);
        let mut head = words(text.as_bytes());
        let (first, second) = (head.next().unwrap_or_default(), head.next().unwrap_or_default());
        if first == "copy"
            && words(text.as_bytes()).zip(head_of_stdin(text)).any(|(from, stdin)| from == "from" && stdin == "stdin")
        {
            let first = line + text.matches('\n').count() + 1;
            return Ok(Piece::Copy { sql, rows: self.rows(), first });
        }
        if self.connects && second == "database" {
            return Ok(match alter_setting(text) {
                Some(sql) => Piece::Statement(sql.into()),
                None => Piece::Skipped(text.lines().next().unwrap_or_default()),
            });
        }
        Ok(Piece::Statement(sql))
    }

    /// The lines up to `\.`, or to the end.
    fn rows(&mut self) -> &'s str {
        let rest = &self.script[self.at..];
        let start = self.at + rest.find('\n').map_or(rest.len(), |at| at + 1);
        let mut end = start;
        for line in self.script[start..].split_inclusive('\n') {
            if line.trim_end() == "\\." {
                self.at = end + line.len();
                return &self.script[start..end];
            }
            end += line.len();
        }
        self.at = end;
        &self.script[start..end]
    }

    /// Does what a command says; one that is skipped with a word is given back.
    fn command(&mut self, text: &'s str) -> Result<Option<&'s str>, Refused> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match name {
            "\\restrict" | "\\unrestrict" | "\\echo" | "\\qecho" | "\\warn" | "\\timing" | "\\pset" | "\\x" => Ok(None),
            "\\connect" | "\\c" => Ok(Some(text)),
            "\\encoding" if matches!(rest.trim().to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") => {
                Ok(None)
            }
            "\\set" if !rest.contains('`') => {
                let (name, value) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
                self.variables.retain(|(other, _)| *other != name);
                self.variables.push((name, unquoted(value.trim())));
                Ok(None)
            }
            "\\unset" => {
                self.variables.retain(|(name, _)| *name != rest.trim());
                Ok(None)
            }
            _ => Err(Refused(name.to_owned())),
        }
    }

    /// A statement with the values of variables: `:name`, `:'name'`, `:"name"`.
    fn interpolated(&self, text: &'s str) -> Cow<'s, str> {
        if self.variables.is_empty() || !text.contains(':') {
            return text.into();
        }
        let (mut made, mut rest) = (String::new(), text);
        for at in colons(text) {
            let begun = text.len() - rest.len();
            let Some(behind) = at.checked_sub(begun).map(|_| &text[at + 1..]) else { continue };
            let value = self.variables.iter().find_map(|(name, value)| {
                let quoted = |mark: char| behind.strip_prefix(mark)?.strip_prefix(name)?.strip_prefix(mark);
                let plain = || {
                    behind
                        .strip_prefix(name)
                        .filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                };
                let of = |rest: &'s str, value: String| (rest, value);
                quoted('\'')
                    .map(|rest| of(rest, quote_literal(value)))
                    .or_else(|| quoted('"').map(|rest| of(rest, crate::pg::server::quote_ident(value))))
                    .or_else(|| plain().map(|rest| of(rest, value.clone())))
            });
            if let Some((behind, value)) = value {
                made += &text[begun..at];
                made += &value;
                rest = behind;
            }
        }
        (made + rest).into()
    }

    fn line_of(&mut self, at: usize) -> usize {
        self.line += self.script[self.counted..at].matches('\n').count();
        self.counted = at;
        self.line
    }
}

/// The words of a statement but for the first.
fn head_of_stdin(text: &str) -> impl Iterator<Item = String> {
    words(text.as_bytes()).skip(1)
}

/// Where a statement has a backslash outside of literals, which begins a command.
fn command_in(text: &str) -> Option<usize> {
    if !text.contains('\\') {
        return None;
    }
    crate::pg::sandbox::characters(text.as_bytes(), b'\\').next()
}

/// Where a statement has a colon outside of literals that is not part of `::` or `:=`.
fn colons(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_alone = |at: &usize| {
        let beside = [at.checked_sub(1).map(|before| bytes[before]), bytes.get(at + 1).copied()];
        !beside.contains(&Some(b':')) && beside[1] != Some(b'=')
    };
    crate::pg::sandbox::characters(bytes, b':').filter(is_alone).collect()
}

/// `ALTER DATABASE name SET …` of the database under construction, whatever its name in the dump.
fn alter_setting(text: &str) -> Option<String> {
    let mut words = words(text.as_bytes());
    let is_alter = words.next()? == "alter";
    let at = text.to_ascii_lowercase().find(" set ").filter(|_| is_alter)?;
    let format = format!("ALTER DATABASE %I{}", text[at..].replace('%', "%%"));
    let body =
        format!("BEGIN EXECUTE pg_catalog.format({}, pg_catalog.current_database()); END", quote_literal(&format));
    Some(format!("DO {}", quote_literal(&body)))
}

/// The value of `\set`: its words in a row, without the quotes around them.
fn unquoted(value: &str) -> String {
    match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => value.split_whitespace().collect(),
    }
}

/// The row at which a copy has failed, from 1.
pub(super) fn row_of(error: &DbError) -> Option<usize> {
    let (_, rest) = error.context.as_deref()?.strip_prefix("COPY ")?.split_once(", line ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests;

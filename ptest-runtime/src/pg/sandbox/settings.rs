//! The settings of a session: which it has, and how the backend gets them when the session takes the turn.
//!
//! A setting changed in a transaction belongs to it, and is rolled back by the server; so what a session has is read from
//! the server, after each batch that may have changed something.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Buf;

/// Settings that a session has beyond those of the backend, by their names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings(BTreeMap<String, String>);

/// The query that reads the settings of the session that has the turn. Roles and settings of the client's own making
/// are not among those that the view shows.
pub(super) fn snapshot(custom: &BTreeSet<String>) -> String {
    format!(
        "SELECT name, setting FROM ({}) p WHERE source = 'session' AND NOT pg_catalog.starts_with(name, 'transaction_') \
         UNION ALL SELECT 'session_authorization', session_user \
         UNION ALL SELECT 'role', pg_catalog.current_setting('role')",
        all(custom)
    )
}

/// All settings, and those of the clients' own making. A name with a dot may also be a module's, with a value to go
/// back to.
fn all(custom: &BTreeSet<String>) -> String {
    const SETTINGS: &str = "SELECT name, setting, source, reset_val FROM pg_catalog.pg_settings";
    if custom.is_empty() {
        return SETTINGS.to_owned();
    }
    let named = |name: &String| format!("({n}, pg_catalog.current_setting({n}, true))", n = literal(name));
    let pairs: Vec<String> = custom.iter().map(named).collect();
    format!(
        "WITH known AS MATERIALIZED ({SETTINGS}) SELECT * FROM known UNION ALL \
         SELECT n, v, 'session', '' FROM (VALUES {}) own(n, v) \
         WHERE v IS NOT NULL AND n NOT IN (SELECT pg_catalog.lower(name) FROM known)",
        pairs.join(",")
    )
}

const ROLES: [&str; 2] = ["session_authorization", "role"];

impl Settings {
    /// The answer to [`snapshot`], for a backend that connected as `user`.
    pub(super) fn of_snapshot(rows: Vec<Vec<Option<String>>>, user: &str) -> Self {
        let pairs = rows.into_iter().filter_map(|mut row| Some((row.first_mut()?.take()?, row.get_mut(1)?.take()?)));
        let own =
            pairs.map(|(name, value)| (name.to_ascii_lowercase(), value)).filter(|(name, value)| match name.as_str() {
                "role" => value != "none",
                "session_authorization" => value != user,
                _ => true,
            });
        Settings(own.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_ascii_lowercase(), value.to_owned());
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The statements that lead from these settings to `target`.
    pub(super) fn change_to(&self, target: &Settings) -> Vec<String> {
        let mut statements = Vec::new();
        // What a role may not set, the backend's own user may.
        if self.has_role() {
            statements.push("RESET SESSION AUTHORIZATION".to_owned());
            statements.push("RESET ROLE".to_owned());
        }
        let plain = |name: &str| !is_role(name);
        for (name, _) in self.iter().filter(|(name, _)| plain(name) && target.get(name).is_none()) {
            statements.push(reset(name));
        }
        for (name, value) in target.iter().filter(|(name, value)| plain(name) && self.get(name) != Some(*value)) {
            statements.push(set(name, value));
        }
        for name in ROLES {
            statements.extend(target.get(name).map(|value| set(name, value)));
        }
        statements
    }

    pub(super) fn has_role(&self) -> bool {
        ROLES.iter().any(|name| self.get(name).is_some())
    }

    /// The statement that brings a setting back to what it is here; unless it is `sure`, there may be no such setting.
    pub(super) fn restore(&self, name: &str, sure: bool) -> String {
        match self.get(name) {
            Some(value) => set(name, value),
            None if sure || name.contains('.') => reset(name),
            None => format!(
                "SELECT pg_catalog.set_config(name, reset_val, false) FROM pg_catalog.pg_settings \
                 WHERE pg_catalog.lower(name) = {} AND source = 'session'",
                literal(name)
            ),
        }
    }

    /// The statement of a block that undoes `SET LOCAL` and its kin, where these are the settings from before: all but
    /// `kept`, and but roles.
    pub(super) fn restore_all(&self, kept: &[String], custom: &BTreeSet<String>) -> String {
        let pairs: String =
            self.iter().map(|(name, value)| format!(", ({}, {})", literal(name), literal(value))).collect();
        let kept: String = kept.iter().map(|name| format!(", {}", literal(name))).collect();
        format!(
            "PERFORM pg_catalog.set_config(p.name, coalesce(s.v, p.reset_val, ''), false) \
             FROM ({all}) p \
             LEFT JOIN (VALUES (NULL::text, NULL::text){pairs}) s(n, v) ON pg_catalog.lower(p.name) = s.n \
             WHERE (p.source = 'session' OR s.n IS NOT NULL) AND p.setting IS DISTINCT FROM coalesce(s.v, p.reset_val, '') \
             AND NOT pg_catalog.starts_with(p.name, 'transaction_') \
             AND pg_catalog.lower(p.name) NOT IN ('session_authorization', 'role'{kept}); ",
            all = all(custom),
        )
    }
}

/// Whether `RESET` may bring it back to what it was, and nothing else does.
pub(super) fn can_be_reset(name: &str) -> bool {
    !is_role(name) && !name.starts_with("transaction_") && name != "seed"
}

/// Whether it is a setting that says who the client is.
pub(super) fn is_role(name: &str) -> bool {
    ROLES.contains(&name)
}

/// The statement that gives a setting a value, in the form that suits lists as well.
pub(super) fn set(name: &str, value: &str) -> String {
    format!("SELECT pg_catalog.set_config({}, {}, false)", literal(name), literal(value))
}

fn reset(name: &str) -> String {
    format!("RESET {}", dotted(name))
}

/// A name with its dots, each part quoted.
fn dotted(name: &str) -> String {
    name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

/// A string constant that means the same whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A call of `set_config` in a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// `None`: it cannot be told.
    pub(super) name: Option<String>,
    /// `None`: it cannot be told.
    pub(super) value: Option<String>,
    /// It lasts to the end of the transaction only.
    pub(super) local: bool,
}

/// The calls of `set_config` in a statement, as far as its arguments are constants or parameters with these values.
pub(super) fn calls(sql: &[u8], values: &[Option<Vec<u8>>]) -> Vec<Call> {
    let text = String::from_utf8_lossy(sql);
    let lower = text.to_ascii_lowercase();
    let mut calls = Vec::new();
    for (at, _) in lower.match_indices("set_config") {
        let Some(open) = lower[at..].find('(').map(|i| at + i + 1) else { break };
        let arguments = arguments(&text[open..]);
        let value = |index: usize| constant(arguments.get(index)?, values);
        let folded = |index| value(index).map(|v| v.to_ascii_lowercase());
        let local = folded(2).is_none_or(|v| matches!(&*v, "t" | "true" | "on" | "yes" | "1" | "\u{1}"));
        calls.push(Call { name: folded(0), value: value(1), local });
    }
    calls
}

/// The arguments up to the closing parenthesis.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0u32, false, 0);
    let mut arguments = Vec::new();
    for (i, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                arguments.push(text[start..i].trim());
                start = i + 1;
                if c == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    arguments
}

fn constant(argument: &str, values: &[Option<Vec<u8>>]) -> Option<String> {
    let argument = argument.split("::").next()?.trim();
    if let Some(number) = argument.strip_prefix('$') {
        let value = values.get(number.parse::<usize>().ok()?.checked_sub(1)?)?.as_ref()?;
        return Some(String::from_utf8_lossy(value).into_owned());
    }
    match argument.strip_prefix('\'').and_then(|a| a.strip_suffix('\'')) {
        Some(text) => Some(text.replace("''", "'")),
        None if argument.chars().all(char::is_alphanumeric) => Some(argument.to_owned()),
        None => None,
    }
}

/// The rows in a run of `DataRow` frames, as text.
pub(super) fn text_rows(mut bytes: &[u8]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    while bytes.len() >= 7 {
        bytes.advance(5);
        let columns = bytes.get_i16();
        let row = (0..columns).map(|_| {
            let length = usize::try_from(bytes.get_i32()).ok()?;
            let value = String::from_utf8_lossy(&bytes[..length]).into_owned();
            bytes.advance(length);
            Some(value)
        });
        rows.push(row.collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        pairs.iter().for_each(|(name, value)| settings.set(name, value));
        settings
    }

    #[test]
    fn calls_of_set_config_tell_how_long_they_last() {
        let shown = |sql: &str, values: &[Option<Vec<u8>>]| {
            let call = calls(sql.as_bytes(), values).pop().unwrap();
            format!("{} {}", call.name.unwrap_or_default(), call.local)
        };
        assert_eq!(shown("select set_config('a.b', f(1, ')'), TRUE)", &[]), "a.b true");
        assert_eq!(shown("select pg_catalog.set_config ( 'A.b' , 'x', false)", &[]), "a.b false");
        assert_eq!(
            shown("select set_config($1::text, $2, $3)", &[Some(b"c.d".to_vec()), None, Some(b"\0".to_vec())]),
            "c.d false"
        );
        assert_eq!(shown("select set_config($1, $2, $3)", &[]), " true");
    }

    #[test]
    fn only_what_differs_is_changed() {
        let (a, b) = (settings(&[("x.y", "1"), ("z", "2")]), settings(&[("z", "2"), ("w", "it's")]));
        assert_eq!(a.change_to(&b), ["RESET \"x\".\"y\"", "SELECT pg_catalog.set_config('w', 'it''s', false)"]);
        assert!(a.change_to(&a).is_empty());
    }

    #[test]
    fn a_role_is_left_first_and_taken_last() {
        let (a, b) = (settings(&[("role", "r")]), settings(&[("role", "s"), ("x", "1")]));
        let change = a.change_to(&b);
        assert_eq!(change[..2], ["RESET SESSION AUTHORIZATION", "RESET ROLE"]);
        assert_eq!(change[3], "SELECT pg_catalog.set_config('role', 's', false)");
    }

    #[test]
    fn literals_survive_backslashes() {
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }
}

//! Tables of strings and what they are, each line checked against a server (15.18); and strings made at random.

mod boundaries;
mod control;
mod generated;
mod hints;
mod server;
mod session;

pub(in crate::pg::sandbox) use generated::Random;

use super::name::Ident;
use super::statement::Isolation;
use super::{Kind, Modes, Statement, split};

/// Splits, and writes every kind in a few words, names as the server folds them.
fn describe(sql: &str) -> String {
    let kinds: Vec<_> = split(sql.as_bytes(), true).iter().map(|statement| kind(sql.as_bytes(), statement)).collect();
    kinds.join("; ")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(sql, expected)| (sql, expected, describe(sql)))
        .filter(|(_, expected, got)| *expected != got)
        .map(|(sql, expected, got)| format!("{sql:?}\n  expected {expected}\n       got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn kind(sql: &[u8], statement: &Statement) -> String {
    let name = |ident: &Ident| String::from_utf8_lossy(&ident.name(sql)).into_owned();
    let all = |ident: &Option<Ident>| ident.as_ref().map_or_else(|| "ALL".to_owned(), name);
    let setting = |name: &Option<String>| name.as_deref().unwrap_or("ALL").to_owned();
    match &statement.kind {
        Kind::Begin { modes: m } => format!("begin{}", modes(m)),
        Kind::Commit { chain } => if *chain { "commit, chain" } else { "commit" }.to_owned(),
        Kind::Rollback { chain } => if *chain { "rollback, chain" } else { "rollback" }.to_owned(),
        Kind::Savepoint { name: n } => format!("savepoint {}", name(n)),
        Kind::RollbackTo { name: n } => format!("rollback to {}", name(n)),
        Kind::Release { name: n } => format!("release {}", name(n)),
        Kind::SetTransaction { modes: m } => format!("set transaction{}", modes(m)),
        Kind::SetSessionCharacteristics { local, modes: m } => {
            format!("{} characteristics{}", if *local { "local" } else { "session" }, modes(m))
        }
        Kind::Set { local, name, value } => {
            format!(
                "set {}{name} = {}",
                if *local { "local " } else { "" },
                String::from_utf8_lossy(&sql[value.clone()])
            )
        }
        Kind::Reset { name } => format!("reset {}", setting(name)),
        Kind::Show { name } => format!("show {}", setting(name)),
        Kind::Prepare { name: n } => format!("prepare {}", name(n)),
        Kind::Execute { name: n } => format!("execute {}", name(n)),
        Kind::Deallocate { name } => format!("deallocate {}", all(name)),
        Kind::Declare { name: n, hold } => format!("declare {}{}", name(n), if *hold { ", hold" } else { "" }),
        Kind::Close { name } => format!("close {}", all(name)),
        Kind::Copy { from_stdin: true, to_stdout: false } => "copy in".to_owned(),
        Kind::Copy { from_stdin: false, to_stdout: true } => "copy out".to_owned(),
        Kind::Copy { .. } => "copy".to_owned(),
        Kind::NeedsAutocommit(name) => format!("autocommit {name}"),
        Kind::Other => "other".to_owned(),
        plain => format!("{plain:?}"),
    }
}

fn modes(modes: &Modes) -> String {
    let mut text = String::new();
    text += match modes.isolation {
        Some(Isolation::ReadUncommitted) => ", uncommitted",
        Some(Isolation::ReadCommitted) => ", committed",
        Some(Isolation::RepeatableRead) => ", repeatable",
        Some(Isolation::Serializable) => ", serializable",
        None => "",
    };
    text += match modes.read_only {
        Some(true) => ", read only",
        Some(false) => ", read write",
        None => "",
    };
    text += match modes.deferrable {
        Some(true) => ", deferrable",
        Some(false) => ", not deferrable",
        None => "",
    };
    text
}

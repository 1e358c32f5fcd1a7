//! provisional
use std::ops::Range;
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Modes {
    pub(crate) read_only: Option<bool>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Begin { start: bool, modes: Modes },
    Commit { chain: bool },
    Rollback { chain: bool },
    Savepoint { name: String },
    RollbackTo { name: String },
    Release { name: String },
    SetTransaction { modes: Modes },
    SetLocal,
    PrepareTransaction,
    Lock,
    Declare { hold: bool },
    CopyIn,
    DiscardAll,
    Other,
}
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}
pub(crate) fn split(sql: &[u8], _std: bool) -> Vec<Statement> {
    let text = String::from_utf8_lossy(sql).into_owned();
    let mut at = 0;
    let mut v = vec![];
    for part in text.split(';') {
        let t = part.trim();
        if !t.is_empty() {
            let s = at + part.find(t).unwrap_or(0);
            let l = t.to_lowercase();
            let w: Vec<&str> = l.split_whitespace().collect();
            let chain = l.ends_with("and chain");
            let kind = match w[0] {
                "begin" => {
                    Kind::Begin { start: false, modes: Modes { read_only: l.contains("read only").then_some(true) } }
                }
                "start" => {
                    Kind::Begin { start: true, modes: Modes { read_only: l.contains("read only").then_some(true) } }
                }
                "commit" | "end" => Kind::Commit { chain },
                "rollback" | "abort" if l.contains(" to ") => Kind::RollbackTo { name: w[w.len() - 1].into() },
                "rollback" | "abort" => Kind::Rollback { chain },
                "savepoint" => Kind::Savepoint { name: w[1].into() },
                "release" => Kind::Release { name: w[w.len() - 1].into() },
                _ => Kind::Other,
            };
            v.push(Statement { range: s..s + t.len(), kind });
        }
        at += part.len() + 1;
    }
    v
}

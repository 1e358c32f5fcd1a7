//! The plan: what puts a database back that a test has written to, where that is provably all it takes.

use super::copies::{Copied, Copies};
use super::image::{Image, Moved};
use crate::pg::slot::restore_sequences_sql;
use crate::pg::template::facts::Facts;

/// Objects of users have greater numbers (`FirstNormalObjectId`).
const FIRST_OF_USERS: u32 = 16_384;

/// More rows cost as much to delete, and to read past, as a clone.
const MOST_ROWS: u64 = 5_000;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing was written.
    Nothing,
    PutBack(PutBack),
    /// Only a clone will do.
    Replace,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PutBack {
    /// The tables to empty, by number and as SQL writes them.
    pub(super) emptied: Vec<(u32, String)>,
    /// Those of them to fill again: the statement, and the data.
    pub(super) filled: Vec<Copied>,
    /// Restores the sequences that were read.
    pub(super) sequences: Option<String>,
    /// How many rows were written.
    pub(super) rows: u64,
}

impl Plan {
    /// Plans for what has moved between two images. Tables that are filled in the template, and of which there is no copy, are
    /// noted, so that the next slot brings one.
    pub(super) fn of(before: &Image, after: &Image, facts: &Facts, copies: &Copies) -> Plan {
        let Some(moved) = before.moved(after).filter(|_| after.is_sound()) else { return Plan::Replace };
        if moved == Moved::default() {
            return Plan::Nothing;
        }
        let Some(lasting) = facts.lasting.as_deref() else { return Plan::Replace };
        let lasting: Vec<&str> = lasting.split(',').collect();
        let mut back = PutBack::default();
        let mut missing = Vec::new();
        for (oid, table) in moved.tables {
            // It has nothing that its table has not.
            if table.kind == "t" && oid >= FIRST_OF_USERS {
                continue;
            }
            back.rows += table.written;
            if table.kind != "r" || oid < FIRST_OF_USERS || back.rows > MOST_ROWS {
                return Plan::Replace;
            }
            if lasting.contains(&&*oid.to_string()) {
                match copies.of(oid) {
                    Some(copied) if copied.table == table.name => back.filled.push(copied),
                    _ => missing.push(oid),
                }
            }
            back.emptied.push((oid, table.name));
        }
        if !missing.is_empty() {
            copies.want(&missing);
            return Plan::Replace;
        }
        if !moved.sequences.is_empty() {
            let Some(restore) = restore_sequences_sql(facts, &moved.sequences) else { return Plan::Replace };
            back.sequences = Some(restore);
        }
        Plan::PutBack(back)
    }
}

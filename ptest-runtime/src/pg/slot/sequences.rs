//! Sequences, which no rollback restores: put back to where the template has them, so that ids are the same in every run.
//!
//! A test without a transaction number has touched none, and the backend counts what it has read of each. A test that was
//! killed leaves a note behind; where that note cannot be trusted, for other machines use the server too, every new lease
//! looks.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::pg::template::facts::Facts;

/// The statement that restores these sequences; `None`: the template has none.
pub(crate) fn restore_sequences_sql(facts: &Facts, numbers: &[u32]) -> Option<String> {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    let sql = restore_sql(facts.sequences.as_deref()?, Which::All);
    Some(format!("{sql} WHERE s.seqrelid IN ({})", numbers.join(",")))
}

/// The statement that restores whatever sequences anybody has read, where the counters have counted from the start; `None`:
/// there is none.
pub(crate) fn restore_fetched_sql(facts: &Facts) -> Option<String> {
    facts.sequences.as_deref().map(|moved| restore_sql(moved, Which::Fetched))
}

#[derive(Debug)]
pub(super) struct Sequences {
    /// The sequences that do not stand at their start in the template, as rows; `None`: the schema has no sequence.
    moved: Option<String>,
    note: Note,
}

/// Which sequences to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that this backend has read since it last was idle outside of a transaction, a second ago or less.
    Read,
    /// Those that any backend has read since the database's counters were reset.
    Fetched,
    /// Those that have given a value beyond the template's: what another backend did.
    Ahead,
    /// All of them.
    All,
}

impl Sequences {
    /// The sequences of a slot, and the file of its note. Without facts of its template, all of them count as never called there.
    pub(super) fn new(facts: Option<&Facts>, note: &Path) -> Self {
        let moved = match facts {
            Some(facts) => facts.sequences.clone(),
            None => Some(String::new()),
        };
        Sequences { moved, note: Note { path: note.to_owned(), file: None } }
    }

    /// The statement that restores them; `None`: there is none.
    pub(super) fn restore(&self, which: Which) -> Option<String> {
        self.moved.as_deref().map(|moved| restore_sql(moved, which))
    }

    /// Whether the test before this one may have left them elsewhere, although its lease has ended.
    pub(super) fn were_left(&self) -> bool {
        self.moved.is_some() && self.note.is_left()
    }

    /// Leaves the note while a test runs. Without it the next lease does not know of a kill; that costs an id, no more.
    pub(super) fn leave_note(&mut self) {
        if self.moved.is_some() {
            self.note.write(HELD);
        }
    }

    pub(super) fn remove_note(&mut self) {
        if self.moved.is_some() {
            self.note.write(FREE);
        }
    }
}

const HELD: &[u8] = b"1";
const FREE: &[u8] = b"0";

/// A file of one byte. It stays, and its byte is overwritten: making and removing a file for each test is slow on ext4,
/// which looks for a new file's number beyond all those that were freed within the last minute.
#[derive(Debug)]
struct Note {
    path: PathBuf,
    file: Option<File>,
}

impl Note {
    fn is_left(&self) -> bool {
        fs::read(&self.path).is_ok_and(|note| note != FREE)
    }

    fn write(&mut self, state: &[u8]) {
        if self.file.is_none() {
            let open = || File::options().write(true).create(true).truncate(false).open(&self.path);
            self.file =
                open().or_else(|_| self.path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| open())).ok();
        }
        if let Some(file) = &self.file {
            let _ = file.write_all_at(state, 0);
        }
    }
}

/// One statement, which touches only what it must: opening a sequence costs a cold backend 15 µs.
fn restore_sql(moved: &str, which: Which) -> String {
    let (from, value) = if moved.is_empty() {
        (String::new(), "s.seqstart, false")
    } else {
        let join = format!(" LEFT JOIN (VALUES {moved}) t (id, last, called) ON t.id::oid = s.seqrelid");
        (join, "coalesce(t.last::bigint, s.seqstart), coalesce(t.called::bool, false)")
    };
    let called = if moved.is_empty() { "NULL" } else { "CASE WHEN t.called::bool THEN t.last::bigint END" };
    let which = match which {
        Which::Read => " WHERE pg_catalog.pg_stat_get_xact_blocks_fetched(s.seqrelid) > 0".to_owned(),
        Which::Fetched => " WHERE pg_catalog.pg_stat_get_blocks_fetched(s.seqrelid) > 0".to_owned(),
        Which::Ahead => format!(" WHERE pg_catalog.pg_sequence_last_value(s.seqrelid) IS DISTINCT FROM {called}"),
        Which::All => String::new(),
    };
    format!("SELECT count(pg_catalog.setval(s.seqrelid, {value})) FROM pg_catalog.pg_sequence s{from}{which}")
}

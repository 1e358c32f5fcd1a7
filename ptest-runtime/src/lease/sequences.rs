//! Sequences, which no rollback restores: put back to where the template has them, so that ids are the same in every run.
//!
//! A test without a transaction number has touched none. A test that was killed leaves a note behind, a file that is there
//! while a test runs; where that note cannot be trusted, for other machines use the server too, every new lease looks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::template::facts::Facts;

#[derive(Debug)]
pub(super) struct Sequences {
    /// The statement that restores them; `None`: the schema has none.
    restore: Option<String>,
    note: PathBuf,
}

impl Sequences {
    /// The sequences of a slot. Without facts of its template, all of them count as never called there.
    pub(super) fn new(facts: Option<&Facts>, folder: &Path, database: &str) -> Self {
        let restore = match facts {
            Some(Facts { sequences: None, .. }) => None,
            Some(Facts { sequences: Some(rows), .. }) => Some(restore_sql(rows)),
            None => Some(restore_sql("")),
        };
        Sequences { restore, note: folder.join(database) }
    }

    /// The statement to run after a test.
    pub(super) fn restore(&self, took_number: bool) -> Option<&str> {
        self.restore.as_deref().filter(|_| took_number)
    }

    /// Whether the test before this one may have left them elsewhere, although its lease has ended.
    pub(super) fn were_left(&self) -> bool {
        self.restore.is_some() && self.note.exists()
    }

    /// Leaves the note while a test runs. Without it the next lease does not know of a kill; that costs an id, no more.
    pub(super) fn leave_note(&self) {
        if self.restore.is_some() && fs::write(&self.note, "").is_err() {
            let _ = self.note.parent().map(fs::create_dir_all);
            let _ = fs::write(&self.note, "");
        }
    }

    pub(super) fn remove_note(&self) {
        if self.restore.is_some() {
            let _ = fs::remove_file(&self.note);
        }
    }
}

/// One statement that touches only what has moved. `rows` are the sequences that do not stand at their start.
fn restore_sql(rows: &str) -> String {
    let rows = if rows.is_empty() { "(NULL,NULL,NULL)" } else { rows };
    format!(
        "SELECT count(pg_catalog.setval(s.seqrelid, coalesce(t.last::bigint, s.seqstart), coalesce(t.called::bool, false))) \
         FROM pg_catalog.pg_sequence s LEFT JOIN (VALUES {rows}) t (id, last, called) ON t.id::oid = s.seqrelid \
         WHERE pg_catalog.pg_sequence_last_value(s.seqrelid) IS DISTINCT FROM CASE WHEN t.called::bool THEN t.last::bigint END"
    )
}

//! The log: the last statements of a test, over all its sessions, as their clients saw them (see [`tap`](super::tap)).
//!
//! Nothing is formatted here, and no more is held than the last statements, each cut: a test that passes pays for a few
//! copies.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::frame;

/// How many statements are held.
const LAST: usize = 30;

/// How many bytes of a statement's text are held, and of its bound values.
pub(super) const TEXT: usize = 1000;

/// How many sessions are held.
const SESSIONS: usize = 50;

/// What a test's sessions said, and how they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) entries: VecDeque<Entry>,
    /// How many came before those, and are no longer held.
    pub(crate) forgotten: usize,
    pub(crate) sessions: Vec<SessionState>,
}

/// One statement that ran, or runs.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) session: u32,
    pub(crate) said: Arc<Said>,
    pub(crate) started: Instant,
    /// How long it waited for the turn.
    pub(crate) waited: Duration,
    /// How long it ran; `None`: it has had no answer.
    pub(crate) took: Option<Duration>,
    /// The server took no notice of it, after an error before it.
    pub(crate) skipped: bool,
    /// How many rows it returned or changed, where the server says so.
    pub(crate) rows: Option<u64>,
    pub(crate) failure: Option<Arc<Failure>>,
}

/// A statement with its values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) text: Arc<Text>,
    /// The body of its Bind behind the names (PostgreSQL manual, section 55.7), perhaps cut.
    pub(crate) bind: Vec<u8>,
}

/// The text of a statement, perhaps cut.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) sql: Vec<u8>,
    pub(crate) cut: bool,
    /// The types of its parameters, by number, as far as they are known.
    pub(crate) types: OnceLock<Vec<u32>>,
}

/// What the client was told of an error.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// The error that failed the transaction, where this one only says that it has failed.
    pub(crate) first: Option<Arc<Failure>>,
}

/// How a session is, or was when its client left.
#[derive(Debug, Clone)]
pub(crate) struct SessionState {
    pub(crate) id: u32,
    /// As in `ReadyForQuery`.
    pub(crate) status: u8,
    /// Since when it waits for the turn, and to run what.
    pub(crate) waits: Option<(Instant, Said)>,
    /// What failed its transaction.
    pub(crate) failed: Option<Arc<Failure>>,
}

/// The log of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Log(RefCell<Record>);

impl Log {
    pub(crate) fn copy(&self) -> Record {
        self.0.borrow().clone()
    }

    pub(crate) fn take(&self) -> Record {
        self.0.take()
    }

    /// Notes a statement, and returns its number.
    pub(super) fn begin(&self, session: u32, said: Arc<Said>, started: Instant, waited: Duration) -> usize {
        let record = &mut *self.0.borrow_mut();
        if record.entries.len() == LAST {
            record.entries.pop_front();
            record.forgotten += 1;
        }
        let entry = Entry { session, said, started, waited, took: None, skipped: false, rows: None, failure: None };
        record.entries.push_back(entry);
        record.forgotten + record.entries.len() - 1
    }

    /// Changes an entry, if it is still held.
    pub(super) fn with(&self, number: usize, change: impl FnOnce(&mut Entry)) {
        let record = &mut *self.0.borrow_mut();
        let index = number.checked_sub(record.forgotten);
        if let Some(entry) = index.and_then(|index| record.entries.get_mut(index)) {
            change(entry);
        }
    }

    pub(super) fn finish(&self, number: usize) {
        self.with(number, |entry| {
            let all = entry.started.elapsed();
            entry.took.get_or_insert(all);
        });
    }

    pub(super) fn last_of(&self, session: u32) -> Option<usize> {
        let record = self.0.borrow();
        let index = record.entries.iter().rposition(|entry| entry.session == session)?;
        Some(record.forgotten + index)
    }

    /// What a session has run last, perhaps cut.
    pub(crate) fn last_statement(&self, session: u32) -> String {
        let record = self.0.borrow();
        let last = record.entries.iter().rfind(|entry| entry.session == session);
        last.map(|entry| String::from_utf8_lossy(&entry.said.text.sql).into_owned()).unwrap_or_default()
    }

    /// Changes what is known of a session.
    pub(super) fn session(&self, id: u32, change: impl FnOnce(&mut SessionState)) {
        let sessions = &mut self.0.borrow_mut().sessions;
        if let Some(session) = sessions.iter_mut().rev().find(|session| session.id == id) {
            return change(session);
        }
        if sessions.len() == SESSIONS {
            let idle = sessions.iter().position(|session| session.status == b'I').unwrap_or(0);
            sessions.remove(idle);
        }
        let mut session = SessionState { id, status: b'I', waits: None, failed: None };
        change(&mut session);
        sessions.push(session);
    }
}

impl Text {
    pub(crate) fn new(sql: &[u8]) -> Arc<Text> {
        let cut = sql.len() > TEXT;
        Arc::new(Text { sql: sql[..sql.len().min(TEXT)].to_vec(), cut, types: OnceLock::new() })
    }

    pub(super) fn unknown(name: &[u8]) -> Arc<Text> {
        Text::new(&[b"(prepared: ", name, b")"].concat())
    }

    /// Notes the types in the body of a Parse behind its texts, or of a `ParameterDescription`.
    pub(super) fn know_types(&self, body: &[u8]) {
        let types: Vec<u32> =
            body.get(2..).unwrap_or_default().as_chunks().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect();
        // A client may leave it to the server to find them out.
        if !types.is_empty() && !types.contains(&0) {
            let _ = self.types.set(types);
        }
    }
}

impl Failure {
    pub(super) fn read(body: &[u8]) -> Failure {
        let mut failure = Failure::default();
        for (kind, value) in frame::report_fields(body) {
            let text = || String::from_utf8_lossy(&value[..value.len().min(TEXT)]).into_owned();
            match kind {
                b'C' => failure.code = text(),
                b'M' => failure.message = text(),
                b'D' => failure.detail = Some(text()),
                b'H' => failure.hint = Some(text()),
                _ => {}
            }
        }
        failure
    }
}

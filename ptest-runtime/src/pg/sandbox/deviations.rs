//! The deviations of a test: what its clients were told, or what happened to them, that a server would not have done.
//!
//! A test may pass because of one, so they are found when it is over. The first of each kind is kept, the others counted.

use crate::audit::{Deviation, Finding};

/// What a server would have done otherwise.
#[derive(Debug, Default)]
pub(super) struct Deviations {
    /// A session was refused its turn.
    turn: Option<Deviation>,
    others: Option<Deviation>,
    /// What a commit of the transaction that the body has left open would have said.
    violated: Option<String>,
}

impl Deviations {
    /// A session was refused its turn.
    pub(super) fn refused(&mut self, session: u32, what: &str, sql: &str) {
        note(&mut self.turn, session, what, sql);
    }

    /// Something else happened.
    pub(super) fn note(&mut self, session: u32, what: &str, sql: &str) {
        note(&mut self.others, session, what, sql);
    }

    /// A deferred constraint is violated in the transaction that the body has left open.
    pub(super) fn violated(&mut self, error: String) {
        self.violated.get_or_insert(error);
    }

    /// Whether a session was refused its turn.
    pub(super) fn has_refused(&self) -> bool {
        self.turn.is_some()
    }

    /// What is said of them when the test is over.
    pub(super) fn findings(&mut self) -> Vec<Finding> {
        let turn = self.turn.take().map(Finding::Turn);
        let violated = self.violated.take().map(|error| Finding::DeferredConstraint { error });
        turn.into_iter().chain(self.others.take().map(Finding::Sandbox)).chain(violated).collect()
    }
}

fn note(first: &mut Option<Deviation>, session: u32, what: &str, sql: &str) {
    match first {
        Some(first) => first.more += 1,
        None => *first = Some(Deviation { session, what: what.to_owned(), sql: sql.to_owned(), more: 0 }),
    }
}

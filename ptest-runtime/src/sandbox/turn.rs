//! The turn: who may use the backend.
//!
//! Transactions of a test's sessions take turns, in order of arrival; a statement outside a transaction waits like a
//! transaction of one statement. A wait that cannot end (the holder itself waits for the waiter) ends with an error.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use super::backend::Backend;
use super::frame::Report;

/// How long a session waits for its turn, counted only while the holder does nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Turns {
    backend: Mutex<Backend>,
    patience: Duration,
    holder: RefCell<Option<Holder>>,
    taken: Cell<u64>,
}

/// The session that has the turn, as a waiter is told of it.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) session: u32,
    pub(super) last_sql: String,
    /// Since when its client has sent nothing and waits for nothing.
    pub(super) idle_since: Option<Instant>,
}

impl Turns {
    pub(super) fn new(backend: Backend, patience: Duration) -> Self {
        Turns { backend: Mutex::new(backend), patience, holder: RefCell::new(None), taken: Cell::new(0) }
    }

    pub(super) fn into_backend(self) -> Backend {
        self.backend.into_inner()
    }

    /// Waits for the turn, to run `sql`.
    ///
    /// # Errors
    ///
    /// The holder has been idle for too long while this session waited.
    pub(super) async fn take(&self, session: u32, sql: &str) -> Result<MutexGuard<'_, Backend>, Report> {
        let mut turn = std::pin::pin!(self.backend.lock());
        loop {
            tokio::select! {
                biased;
                backend = &mut turn => {
                    self.hold(session);
                    return Ok(backend);
                }
                () = tokio::time::sleep(self.remaining()) => {
                    if self.remaining().is_zero() {
                        return Err(self.report(session, sql));
                    }
                }
            }
        }
    }

    /// Takes the turn if nobody has it.
    pub(super) fn try_take(&self, session: u32) -> Option<MutexGuard<'_, Backend>> {
        let backend = self.backend.try_lock().ok()?;
        self.hold(session);
        Some(backend)
    }

    fn hold(&self, session: u32) {
        self.taken.set(self.taken.get() + 1);
        *self.holder.borrow_mut() = Some(Holder { session, last_sql: String::new(), idle_since: None });
    }

    /// Notes whether the holder does nothing, for those who wait.
    pub(super) fn note_idle(&self, idle: bool, last_sql: &str) {
        if let Some(holder) = self.holder.borrow_mut().as_mut() {
            if idle && holder.idle_since.is_none() {
                holder.idle_since = Some(Instant::now());
                last_sql.clone_into(&mut holder.last_sql);
            } else if !idle && holder.idle_since.take().is_some() {
                self.taken.set(self.taken.get() + 1);
            }
        }
    }

    /// Whether the backend works for the holder of the turn.
    pub(super) fn is_busy(&self) -> bool {
        self.backend.try_lock().is_err() && self.holder.borrow().as_ref().is_some_and(|h| h.idle_since.is_none())
    }

    /// How often the turn was taken, or went from the client to the backend within one.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    fn remaining(&self) -> Duration {
        let idle = self.holder.borrow().as_ref().and_then(|h| h.idle_since).map(|since| since.elapsed());
        idle.map_or(self.patience, |idle| self.patience.saturating_sub(idle))
    }

    fn report(&self, session: u32, sql: &str) -> Report {
        let holder = self.holder.borrow().clone();
        let (other, last) = holder.map_or((0, String::new()), |h| (h.session, h.last_sql));
        Report {
            detail: Some(format!(
                "Session {other} has an open transaction, sends nothing, and last ran: {last}\nSession {session} waits to \
                 run: {sql}"
            )),
            hint: Some(format!(
                "The transactions of a test take turns on one connection. Finish or drop the transaction of session \
                 {other} before another connection is used, or pass it on to the code that runs this statement. Where \
                 two transactions must be open at once, write #[ptest::db_test(isolation = \"database\")]; it costs a \
                 clone."
            )),
            ..Report::error(
                "PT001",
                format!(
                    "session {session} waited {:?} for its turn while session {other} was idle in a transaction",
                    self.patience
                ),
            )
        }
    }
}

//! The turn: who may use the backend.
//!
//! Transactions of a test's sessions take turns, in order of arrival; a statement outside a transaction waits like a
//! transaction of one statement. A wait that cannot end (the holder itself waits for the waiter) ends with an error.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::backend::Backend;
use super::frame::{self, Frame, Piece, Report};
use super::sql::{self, Kind};

/// The SQLSTATE of a wait that was given up. Not of class 40: applications retry those.
pub(super) const TURN: &str = "PT001";

#[derive(Debug)]
pub(super) struct Turns {
    backend: Arc<Mutex<Backend>>,
    /// How long a session waits for its turn, counted only while the holder does nothing.
    patience: Duration,
    holder: RefCell<Option<Holder>>,
    taken: Cell<u64>,
    /// How many sessions wait for it.
    awaited: Cell<usize>,
}

/// The turn itself; the next session has it when this is dropped.
pub(super) type Turn = OwnedMutexGuard<Backend>;

/// The session that has the turn, as a waiter is told of it.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) session: u32,
    pub(super) last_sql: String,
    /// Since when its client has sent nothing and waits for nothing.
    pub(super) idle_since: Option<Instant>,
}

/// A session waits as long as it has this.
struct Waits<'a>(&'a Cell<usize>);

impl<'a> Waits<'a> {
    fn of(awaited: &'a Cell<usize>) -> Self {
        awaited.set(awaited.get() + 1);
        Waits(awaited)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Turns {
    pub(super) fn new(backend: Backend, patience: Duration) -> Self {
        Turns {
            backend: Arc::new(Mutex::new(backend)),
            patience,
            holder: RefCell::new(None),
            taken: Cell::new(0),
            awaited: Cell::new(0),
        }
    }

    /// The backend; `None`: a session still has it.
    pub(super) fn into_backend(self) -> Option<Backend> {
        Some(Arc::try_unwrap(self.backend).ok()?.into_inner())
    }

    /// Waits for the turn, to run `sql`.
    ///
    /// # Errors
    ///
    /// The holder has been idle for too long while this session waited.
    pub(super) async fn take(&self, session: u32, sql: &str) -> Result<Turn, Report> {
        let _waits = Waits::of(&self.awaited);
        let mut turn = pin!(Arc::clone(&self.backend).lock_owned());
        loop {
            match select(turn.as_mut(), pin!(tokio::time::sleep(self.remaining()))).await {
                Either::Left((turn, _)) => {
                    self.hold(session);
                    return Ok(turn);
                }
                Either::Right(_) if self.remaining().is_zero() => return Err(self.report(session, sql)),
                Either::Right(_) => {}
            }
        }
    }

    /// Takes the turn if nobody has it.
    pub(super) fn try_take(&self, session: u32) -> Option<Turn> {
        let turn = Arc::clone(&self.backend).try_lock_owned().ok()?;
        self.hold(session);
        Some(turn)
    }

    /// Whether a session waits for the turn.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.get() > 0
    }

    /// Waits for the turn, however long it takes.
    pub(super) async fn wait(&self) -> Turn {
        Arc::clone(&self.backend).lock_owned().await
    }

    /// Waits for the turn for so long; `None`: it is still another's.
    pub(super) async fn wait_within(&self, patience: Duration) -> Option<Turn> {
        tokio::time::timeout(patience, self.wait()).await.ok()
    }

    /// Notes who has the turn.
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
        let what = if begins(sql) { "this transaction" } else { "this statement" };
        Report {
            detail: Some(format!(
                "Session {other} has an open transaction, sends nothing, and last ran: {last}\nSession {session} waits to \
                 run: {sql}"
            )),
            hint: Some(format!(
                "The transactions of a test take turns on one connection. Finish or drop the transaction of session \
                 {other} before another connection is used, or pass it on to the code that runs {what}. In the attribute of \
                 the test, `isolation = \"database\"` gives it connections that run at the same time, and costs a clone; \
                 `turn_timeout = \"30s\"` waits longer for code that is only slow. A test that passes with this error fails \
                 when it ends, unless its attribute says `audit(turn = \"off\")`."
            )),
            ..Report::error(
                TURN,
                format!(
                    "session {session} waited {:?} for its turn while session {other} was idle in a transaction",
                    self.patience
                ),
            )
        }
    }
}

/// Whether a statement begins a transaction.
fn begins(sql: &str) -> bool {
    let first = sql::split(sql.as_bytes(), true).into_iter().next();
    first.is_some_and(|statement| matches!(statement.kind, Kind::Begin { .. }))
}

/// The start of the statement in a client's message, for a report; empty where there is none.
pub(super) fn preview(first: &Piece) -> String {
    let frame: &Frame = match first {
        Piece::Frame(frame) | Piece::Head(frame) => frame,
        Piece::Data { .. } => return String::new(),
    };
    let mut body = frame.body();
    let text = match frame.tag() {
        b'Q' => frame::take_cstr(&mut body),
        b'P' => frame::take_cstr(&mut body).and_then(|_| frame::take_cstr(&mut body)),
        _ => None,
    };
    let text = text.unwrap_or_default();
    String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned()
}

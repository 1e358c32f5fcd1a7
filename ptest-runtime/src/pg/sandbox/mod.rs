//! The sandbox: many virtual sessions over one backend, inside one transaction that is always rolled back.
//!
//! It takes a backend and a source of sessions, and does not know which process it lives in. Its parts:
//!
//! | part | what it does |
//! |---|---|
//! | `frame` | cuts frames from a stream, and writes them |
//! | `sql` | tells what in a client's text is control |
//! | `control`, `modes`, `assignment`, `action`, `change` | the rules: what a control statement becomes, and changes |
//! | `script` | the rules applied to a string of several statements |
//! | `belief`, `defaults`, `list` | what a client believes and may go back to, where the backend cannot be asked |
//! | `commit`, `constraints` | what a commit does beyond releasing a savepoint |
//! | `settings` | the settings of a session, and how the backend gets them |
//! | `serve` | a session from start-up to end, and its turns |
//! | `session`, `extended`, `names` | what becomes of a client's message |
//! | `expect`, `answers`, `reports` | what becomes of the backend's answer |
//! | `turn` | who may use the backend |
//! | `log`, `tap`, `watch` | the last statements, for the report of a test that fails; what the end of a body finds |
//! | `deviations` | what a server would have done otherwise, for the audit |
//! | `backend`, `leftover`, `conversation`, `startup` | the bytes in and out |
//!
//! What a client could tell from a server in which it is alone, and nothing else on purpose:
//!
//! - A statement waits while another session is in a transaction, and gives up with PT001.
//! - `now()` is the time at which ptest's transaction began, `txid_current()` is its number and `xmin` a subtransaction's,
//!   and every commit is undone in the end. Isolation levels and `DEFERRABLE` are remembered and shown, not set.
//! - A client is the user that it names, by session authorization: whether that may log in, or connect, is not asked.
//! - What the sandbox keeps to itself is not seen by `current_setting` or in `pg_settings`: the modes of transactions,
//!   `idle_in_transaction_session_timeout` and `transaction_timeout`, which fire for `set_config` alone, and end the test.
//! - Temporary tables, held cursors, session-level advisory locks and what `currval` says are shared by the sessions of a
//!   test; tables and cursors go when no session is left that may have made some. Prepared statements are not shared, but
//!   stand in `pg_prepared_statements`, and for an `EXECUTE` in a function, under their names on the backend, to the end.
//! - Locks, and descriptors of large objects, last to the end; what a server counts at a commit is not counted.
//! - Who has `pg_backend_pid()` terminated ends all sessions, and what a gone client still runs keeps them waiting.
//! - `ON COMMIT` of a temporary table, `SET LOCAL` and `set_config` are seen in a client's own statements, not inside
//!   functions. A setting of a client's own making is empty where it would be null once another session has had it.
//! - A held cursor reads a temporary copy from the start, and describes its columns: a server would keep its tables busy
//!   until the commit, and would not refuse `DISCARD TEMP` for it. Over columns without names of their own it does so too.
//! - `PREPARE TRANSACTION`, committing procedures, `LISTEN`, `NOTIFY`, exported snapshots, what needs autocommit: a hint.
//! - A constraint that can be deferred and is `INITIALLY IMMEDIATE` may be deferred in the transaction that makes it.
//! - A malformed message ends its session. `DECLARE` outside of a transaction is refused before its query is looked at.
//!
//! Rollback leaves sequences, session-level advisory locks and prepared statements to whoever takes the backend back.

mod action;
mod answers;
mod assignment;
mod backend;
mod belief;
mod change;
mod commit;
mod constraints;
mod control;
mod conversation;
mod defaults;
mod deviations;
mod expect;
mod extended;
pub(crate) mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod leftover;
mod list;
pub(crate) mod log;
mod mark;
mod modes;
mod names;
mod reports;
mod script;
mod serve;
mod session;
mod settings;
mod signals;
mod sql;
mod startup;
pub(crate) mod tap;
mod turn;
mod watch;

pub(crate) use answers::Lost;
pub(crate) use backend::Backend;
pub(crate) use constraints::Constraints;
pub(crate) use control::SAVEPOINT;
pub(crate) use conversation::Transport;
#[cfg(test)]
pub(crate) use log::Text;
pub(crate) use log::{Entry, Failure, Record, Said, SessionState};
pub(crate) use mark::return_sql;
pub(crate) use sql::{characters, next_statement, ranges, words};
pub(crate) use watch::Watch;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::task::{JoinHandle, spawn_local};

use commit::Duties;
use conversation::Client;
use log::Log;
use signals::Signals;
use turn::Turns;

use crate::audit::{Finding, Straggler};
use crate::engine::Activity;
use crate::spec::Level;

/// How long sessions may take to leave when the test is over; a session that still runs something is cancelled first.
const LEAVE: Duration = Duration::from_secs(5);

/// One test's sandbox. Lives on the thread of its backend.
#[derive(Debug)]
pub(crate) struct Sandbox {
    shared: Rc<Shared>,
    accepting: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    turns: Turns,
    reported: Vec<(String, String)>,
    database: String,
    duties: Rc<RefCell<Duties>>,
    signals: Rc<Signals>,
    log: Rc<Log>,
    last_id: Cell<u32>,
    secret: i32,
    sessions: RefCell<Vec<JoinHandle<()>>>,
    lost: RefCell<Option<Lost>>,
    options: Options,
    watch: Arc<Watch>,
    stragglers: RefCell<Vec<Straggler>>,
}

/// What a test may ask of its sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) level: Level,
    /// How long a session waits for another that is idle in a transaction.
    pub(crate) turn_timeout: Duration,
}

/// What is left of a sandbox.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// The backend between two batches, its transaction open; `None`: it could not be brought back there.
    pub(crate) backend: Option<Backend>,
    /// Why ptest can no longer vouch for the transaction.
    pub(crate) lost: Option<Lost>,
    /// Sessions that were not done when the body had returned.
    pub(crate) stragglers: Vec<Straggler>,
    /// A client has spoken of advisory locks.
    pub(crate) advisory: bool,
    /// What a server would have done otherwise.
    pub(crate) deviations: Vec<Finding>,
    pub(crate) record: Record,
}

impl Sandbox {
    /// Opens a sandbox on a backend whose transaction is open and whose savepoint stands.
    pub(crate) fn open(
        mut backend: Backend,
        database: &str,
        constraints: Constraints,
        secret: i32,
        options: Options,
    ) -> Sandbox {
        backend.forget_settings();
        let mut duties = Duties::new(constraints);
        let watch = Arc::<Watch>::default();
        duties.watch = Arc::clone(&watch);
        let shared = Shared {
            reported: backend.parameters.clone(),
            turns: Turns::new(backend, options.turn_timeout),
            database: database.to_owned(),
            duties: Rc::new(RefCell::new(duties)),
            signals: Rc::default(),
            log: Rc::default(),
            last_id: Cell::new(0),
            secret,
            sessions: RefCell::new(Vec::new()),
            lost: RefCell::new(None),
            options,
            watch,
            stragglers: RefCell::default(),
        };
        Sandbox { shared: Rc::new(shared), accepting: Vec::new() }
    }

    /// Serves the clients that connect to a socket.
    pub(crate) fn listen(&mut self, listener: Rc<UnixListener>) {
        let shared = Rc::clone(&self.shared);
        self.accepting.push(spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.attach(Box::new(stream));
            }
        }));
    }

    /// Serves one client.
    pub(crate) fn attach(&self, stream: Box<dyn Transport>) {
        self.shared.attach(stream);
    }

    /// What the test's thread knows of the sandbox.
    pub(crate) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.shared.watch)
    }

    /// What the sandbox is at, once it has read all that its clients have sent.
    pub(crate) async fn activity(&self) -> Activity {
        // A task that yields runs again after the sockets have been polled; then the sessions have had their run.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        Activity { busy: self.shared.turns.is_busy(), count: self.shared.turns.taken() }
    }

    /// What its sessions have said, and how they are.
    pub(crate) fn record(&self) -> Record {
        self.shared.log.copy()
    }

    /// Ends every session at once; the sandbox is still to be closed.
    pub(crate) fn interrupt(&self) {
        self.shared.signals.close();
    }

    /// Ends every session, and gives the backend back.
    pub(crate) async fn close(self) -> Remains {
        for task in self.accepting {
            task.abort();
            let _ = task.await;
        }
        let sessions = self.shared.sessions.take();
        leave(sessions, &self.shared).await;
        let lost = self.shared.lost.take();
        let record = self.shared.log.take();
        let stragglers = self.shared.stragglers.take();
        let advisory = self.shared.duties.borrow().advisory;
        let deviations = self.shared.duties.borrow_mut().deviations.findings();
        let backend = Rc::try_unwrap(self.shared).ok().and_then(|shared| shared.turns.into_backend());
        Remains { backend, lost, stragglers, advisory, deviations, record }
    }
}

/// Waits for sessions whose clients are gone, then ends the others.
async fn leave(sessions: Vec<JoinHandle<()>>, shared: &Shared) {
    // A client that has closed its end is found out by one poll of its session's task.
    let mut polls = 0;
    while polls < 8 && sessions.iter().any(|task| !task.is_finished()) {
        tokio::task::yield_now().await;
        polls += 1;
    }
    // One that has an answer under way needs another moment.
    let mut waited = 0;
    while waited < 3 && sessions.iter().any(|task| !task.is_finished()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        waited += 1;
    }
    shared.signals.close();
    let all = async {
        for task in sessions {
            let _ = task.await;
        }
    };
    let _ = tokio::time::timeout(LEAVE, all).await;
}

impl Shared {
    fn attach(self: &Rc<Self>, stream: Box<dyn Transport>) {
        let (shared, client) = (Rc::clone(self), Client::new(stream, Rc::clone(&self.signals)));
        let task = spawn_local(async move { shared.serve(client).await });
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|task| !task.is_finished());
        sessions.push(task);
    }
}

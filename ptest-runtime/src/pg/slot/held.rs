//! A leased slot: a thread of its own that keeps the backend, so that it outlasts the runtimes of tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::acquire::Attempt;
use super::backing::{Backing, Clone};
use super::keeper::Keeper;
use super::registry::{self, Reserved};
use super::{LeaseError, lend};
use crate::audit::Finding;
use crate::engine::Activity;
use crate::engine::kept::Kept;
use crate::pg::report::Snapshot;
use crate::pg::sandbox::{Lost, Options, Record, Watch};
use crate::pg::server::Address;
use crate::schema::Schema;

/// A leased slot. Dropping it gives the database up: the backend's connection ends, and the server rolls back.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u32,
    database: Arc<str>,
    server: Address,
    fingerprint: String,
    orders: mpsc::UnboundedSender<Order>,
}

/// What the slot's thread is told.
pub(super) enum Order {
    /// Open a sandbox for a test, with a socket of its own.
    Open { options: Options, reply: oneshot::Sender<Result<Opened, LeaseError>> },
    /// Tell what the sandbox is at.
    Probe { reply: std::sync::mpsc::SyncSender<Activity> },
    /// Tell what its sessions are at, and, of a test whose time is up, what the server is at.
    Look { timed_out: bool, reply: std::sync::mpsc::SyncSender<Snapshot> },
    /// End its sessions: the test's time is up.
    Interrupt,
    /// Note where the transaction is; `None`: a session stays in the turn.
    Mark { reply: oneshot::Sender<Option<u32>> },
    /// Go back to a mark, with a sandbox of its own at the same socket; `None`: there is no such mark.
    Return { mark: u32, options: Options, reply: oneshot::Sender<Option<Opened>> },
    /// End the sandbox: audit, roll back, reset. `again`: then open one at the same socket.
    Close { failed: bool, again: Option<Options>, reply: oneshot::Sender<(Verdict, Option<Opened>)> },
    /// Give the backend to the helper: this process is done with it.
    GiveBack { fingerprint: String, number: u32, reply: oneshot::Sender<()> },
}

/// Where clients find the sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    pub(crate) watch: Arc<Watch>,
}

/// Asks a slot's sandbox from any thread.
#[derive(Debug, Clone)]
pub(crate) struct Prober(mpsc::UnboundedSender<Order>);

impl Prober {
    /// What the sandbox is at, once it has read all that its clients have sent; `None`: it is gone.
    pub(crate) fn probe(&self) -> Option<Activity> {
        let (reply, activity) = std::sync::mpsc::sync_channel(1);
        self.0.send(Order::Probe { reply }).ok()?;
        activity.recv().ok()
    }

    /// What the sandbox's sessions are at; `None`: it is gone.
    pub(crate) fn look(&self, timed_out: bool) -> Option<Snapshot> {
        let (reply, snapshot) = std::sync::mpsc::sync_channel(1);
        self.0.send(Order::Look { timed_out, reply }).ok()?;
        snapshot.recv().ok()
    }

    /// Ends the sandbox's sessions.
    pub(crate) fn interrupt(&self) {
        let _ = self.0.send(Order::Interrupt);
    }
}

/// What is known of a database after its test. Without a loss it is rolled back and reset, and can be leased again.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) lost: Option<Loss>,
    pub(crate) findings: Vec<Finding>,
    /// What its sessions said.
    pub(crate) record: Record,
    /// It was to be kept for the user.
    pub(crate) kept: Option<Kept>,
}

const GONE: &str = "the thread that held the database has ended";

/// Why a database is not used again.
#[derive(Debug)]
pub(crate) enum Loss {
    /// ptest's own transaction has ended.
    Ended,
    /// Somebody else has written to the database.
    Written,
    /// These were connected to the database, and may have written to it.
    Shared(Vec<String>),
    /// It is clean, but a clone serves better.
    Worn,
    /// The backend could not be brought back to a clean state.
    Broken(String),
}

impl Slot {
    /// Tries to lease what is behind the slot with this number, on a thread of its own.
    pub(crate) async fn acquire(
        server: &Address,
        schema: &Schema,
        number: u32,
        backing: impl Backing,
    ) -> crate::Result<Attempt<Slot>> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (ready, acquired) = oneshot::channel();
        let (server_, schema_) = (server.clone(), schema.clone());
        let notes = crate::config::Config::get()?.target_dir.join("held");
        std::thread::Builder::new()
            .name(format!("ptest slot {number}"))
            .spawn(move || hold(&server_, &schema_, backing, &notes, ready, inbox))
            .map_err(crate::Error::other)?;
        let attempt = acquired.await.map_err(|_| LeaseError::Gone)??;
        let fingerprint = schema.fingerprint.clone();
        Ok(attempt.map(|database| Slot { number, database, server: server.clone(), fingerprint, orders }))
    }

    /// Borrows a slot from the helper, if it has one.
    pub(super) fn borrow(server: &Address, schema: &Schema, key: &registry::Key) -> crate::Result<Option<Slot>> {
        let Some(borrowed) = lend::borrow(server, &schema.fingerprint) else { return Ok(None) };
        let number = borrowed.number;
        let database: Arc<str> = borrowed.database.as_str().into();
        // Another thread that tries the number finds its lock taken.
        let backing = Clone { reserved: Reserved::take(key, number), number, make: false };
        let (orders, inbox) = mpsc::unbounded_channel();
        let server_ = server.clone();
        let notes = crate::config::Config::get()?.target_dir.join("held");
        let serve = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            LocalSet::new().block_on(&runtime, async move {
                if let Ok(acquired) = borrowed.acquired(&server_, &notes) {
                    Keeper::new(&server_, acquired, backing).serve(inbox).await;
                }
            });
        };
        std::thread::Builder::new().name(format!("ptest slot {number}")).spawn(serve).map_err(crate::Error::other)?;
        let fingerprint = schema.fingerprint.clone();
        Ok(Some(Slot { number, database, server: server.clone(), fingerprint, orders }))
    }

    /// Gives the backend to the helper, for the next process. Blocks the thread of the test.
    pub(super) fn give_back(self) {
        let (reply, given) = oneshot::channel();
        let _ = self.orders.send(Order::GiveBack { fingerprint: self.fingerprint, number: self.number, reply });
        let _ = given.blocking_recv();
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) fn server(&self) -> &Address {
        &self.server
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Opens the sandbox of the next test.
    pub(crate) async fn open(&self, options: Options) -> Result<Opened, LeaseError> {
        let (reply, opened) = oneshot::channel();
        let _ = self.orders.send(Order::Open { options, reply });
        opened.await.map_err(|_| LeaseError::Gone)?
    }

    pub(crate) fn prober(&self) -> Prober {
        Prober(self.orders.clone())
    }

    /// Ends the sandbox. Blocks the thread of the test, whose runtime is gone.
    pub(crate) fn close(&self, failed: bool) -> Verdict {
        let (reply, verdict) = oneshot::channel();
        let _ = self.orders.send(Order::Close { failed, again: None, reply });
        verdict.blocking_recv().map_or_else(|_| Verdict::broken(GONE), |(verdict, _)| verdict)
    }

    /// Ends the sandbox and opens another at the same socket; `None`: the database is given up.
    pub(crate) async fn restart(&self, options: Options) -> (Verdict, Option<Opened>) {
        let (reply, verdict) = oneshot::channel();
        let _ = self.orders.send(Order::Close { failed: false, again: Some(options), reply });
        verdict.await.unwrap_or_else(|_| (Verdict::broken(GONE), None))
    }

    /// Notes where the transaction is; `None`: a session stays in a transaction.
    pub(crate) async fn mark(&self) -> Option<u32> {
        let (reply, mark) = oneshot::channel();
        let _ = self.orders.send(Order::Mark { reply });
        mark.await.ok()?
    }

    /// Goes back to a mark, and opens another sandbox at the same socket; `None`: there is no such mark.
    pub(crate) async fn return_to(&self, mark: u32, options: Options) -> Option<Opened> {
        let (reply, opened) = oneshot::channel();
        let _ = self.orders.send(Order::Return { mark, options, reply });
        opened.await.ok()?
    }
}

impl Verdict {
    pub(super) fn broken(why: &str) -> Self {
        let lost = Some(Loss::Broken(why.to_owned()));
        Verdict { lost, findings: Vec::new(), record: Record::default(), kept: None }
    }
}

impl From<Lost> for Loss {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Escaped => Loss::Ended,
            Lost::Confused(why) => Loss::Broken(why),
        }
    }
}

/// The slot's thread.
fn hold(
    server: &Address,
    schema: &Schema,
    backing: impl Backing,
    notes: &Path,
    ready: oneshot::Sender<crate::Result<Attempt<Arc<str>>>>,
    inbox: mpsc::UnboundedReceiver<Order>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(crate::Error::other(error)))),
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let attempt = backing.acquire(server, schema, notes).await;
        if let Ok(Attempt::Leased(acquired)) = attempt {
            let database: Arc<str> = acquired.database.as_str().into();
            if ready.send(Ok(Attempt::Leased(database))).is_ok() {
                Keeper::new(server, acquired, backing).serve(inbox).await;
            }
        } else {
            // The number is free before anyone hears of it.
            drop(backing);
            let _ = ready.send(attempt.map(|attempt| attempt.map(|_| "".into())));
        }
    });
}

//! A leased slot: a thread of its own that keeps the backend, so that it outlasts the runtimes of tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::LeaseError;
use super::acquire::{self, Acquired, Attempt};
use super::detach;
use super::registry::Reserved;
use super::sequences::Sequences;
use crate::sandbox::{Activity, Backend, Constraints, Lost, PATIENCE, Sandbox};
use crate::server::Address;
use crate::socket::Socket;
use crate::template::Schema;

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
enum Order {
    /// Open a sandbox for a test, with a socket of its own.
    Open { reply: oneshot::Sender<Result<Opened, LeaseError>> },
    /// Tell what the sandbox is at.
    Probe { reply: std::sync::mpsc::SyncSender<Activity> },
    /// End its sessions: the test's time is up.
    Interrupt,
    /// End the sandbox: audit, roll back, reset.
    Close { reply: oneshot::Sender<Verdict> },
}

/// Where clients find the sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
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

    /// Ends the sandbox's sessions.
    pub(crate) fn interrupt(&self) {
        let _ = self.0.send(Order::Interrupt);
    }
}

/// What is known of a database after its test. Without a loss it is rolled back and reset, and can be leased again.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) lost: Option<Loss>,
    /// Connections that were still open when the body had returned.
    #[expect(dead_code, reason = "for the audit's findings")]
    pub(crate) leaked: usize,
}

/// Why ptest can no longer vouch for a database.
#[derive(Debug)]
pub(crate) enum Loss {
    /// ptest's own transaction has ended.
    Escaped,
    /// The backend could not be brought back to a clean state.
    Broken(String),
}

impl Slot {
    /// Tries to lease the slot with this number, on a thread of its own; `make`: clones it if it is missing.
    pub(super) async fn acquire(
        server: &Address,
        schema: &Schema,
        reserved: Reserved,
        make: bool,
    ) -> crate::Result<Attempt<Slot>> {
        let number = reserved.number();
        let (orders, inbox) = mpsc::unbounded_channel();
        let (ready, acquired) = oneshot::channel();
        let (server_, schema_) = (server.clone(), schema.clone());
        let notes = crate::config::Config::get()?.target_dir.join("held");
        std::thread::Builder::new()
            .name(format!("ptest slot {number}"))
            .spawn(move || hold(&server_, &schema_, reserved, make, &notes, ready, inbox))
            .map_err(crate::Error::other)?;
        let attempt = acquired.await.map_err(|_| LeaseError::Gone)??;
        let fingerprint = schema.fingerprint.clone();
        Ok(attempt.map(|database| Slot { number, database, server: server.clone(), fingerprint, orders }))
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
    pub(crate) async fn open(&self) -> Result<Opened, LeaseError> {
        let (reply, opened) = oneshot::channel();
        let _ = self.orders.send(Order::Open { reply });
        opened.await.map_err(|_| LeaseError::Gone)?
    }

    pub(crate) fn prober(&self) -> Prober {
        Prober(self.orders.clone())
    }

    /// Ends the sandbox. Blocks the thread of the test, whose runtime is gone.
    pub(crate) fn close(&self) -> Verdict {
        let (reply, verdict) = oneshot::channel();
        let _ = self.orders.send(Order::Close { reply });
        verdict.blocking_recv().unwrap_or_else(|_| Verdict::broken("the thread that held the database has ended"))
    }
}

impl Verdict {
    fn broken(why: &str) -> Self {
        Verdict { lost: Some(Loss::Broken(why.to_owned())), leaked: 0 }
    }
}

impl From<Lost> for Loss {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Escaped => Loss::Escaped,
            Lost::Confused(why) => Loss::Broken(why),
        }
    }
}

/// The slot's thread.
fn hold(
    server: &Address,
    schema: &Schema,
    reserved: Reserved,
    make: bool,
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
        let attempt = acquire::try_slot(server, schema, reserved.number(), make, notes).await;
        if let Ok(Attempt::Leased(acquired)) = attempt {
            let database: Arc<str> = acquired.database.as_str().into();
            if ready.send(Ok(Attempt::Leased(database))).is_ok() {
                Keeper::new(server, acquired, reserved).serve(inbox).await;
            }
        } else {
            // The number is free before anyone hears of it.
            drop(reserved);
            let _ = ready.send(attempt.map(|attempt| attempt.map(|_| "".into())));
        }
    });
}

/// What the slot's thread keeps between tests.
pub(super) struct Keeper {
    server: Address,
    backend: Option<Backend>,
    sandbox: Option<(Sandbox, Socket)>,
    database: String,
    constraints: Constraints,
    began: String,
    sequences: Sequences,
    _reserved: Reserved,
}

impl Keeper {
    pub(super) fn new(server: &Address, acquired: Acquired, reserved: Reserved) -> Self {
        Keeper {
            server: server.clone(),
            backend: Some(Backend::new(acquired.connection, server.clone())),
            sandbox: None,
            database: acquired.database,
            constraints: acquired.constraints,
            began: acquired.began,
            sequences: acquired.sequences,
            _reserved: reserved,
        }
    }

    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Open { reply } => drop(reply.send(self.open())),
                Order::Probe { reply } => {
                    if let Some((sandbox, _)) = &self.sandbox {
                        let _ = reply.send(sandbox.activity().await);
                    }
                }
                Order::Interrupt => {
                    if let Some((sandbox, _)) = &self.sandbox {
                        sandbox.interrupt();
                    }
                }
                Order::Close { reply } => {
                    let verdict = self.close().await;
                    if let Some(loss) = &verdict.lost {
                        self.give_up(loss).await;
                        // The connection and the number are gone before anyone hears of it.
                        drop(self);
                        let _ = reply.send(verdict);
                        return;
                    }
                    let _ = reply.send(verdict);
                }
            }
        }
    }

    fn open(&mut self) -> Result<Opened, LeaseError> {
        let (listener, socket) = Socket::bind()?;
        self.sequences.leave_note();
        let backend = self.backend.take().ok_or(LeaseError::Gone)?;
        let mut sandbox = Sandbox::open(backend, &self.database, self.constraints.clone(), socket.secret(), PATIENCE);
        sandbox.listen(listener);
        let opened = Opened { folder: socket.folder().to_owned(), port: socket.port() };
        self.sandbox = Some((sandbox, socket));
        Ok(opened)
    }

    async fn close(&mut self) -> Verdict {
        let Some((sandbox, socket)) = self.sandbox.take() else { return Verdict::broken("no test was open") };
        drop(socket);
        let remains = sandbox.close().await;
        let lost = match (remains.lost, remains.backend) {
            (Some(lost), _) => Some(lost.into()),
            (None, None) => Some(Loss::Broken("a statement could not be cancelled".to_owned())),
            (None, Some(mut backend)) => {
                let rolled_back = self.roll_back(&mut backend).await;
                self.backend = Some(backend);
                rolled_back.err().map(Loss::from)
            }
        };
        Verdict { lost, leaked: remains.leaked }
    }

    /// Lets the server roll back by ending the connection. Where the transaction has ended already, what the test did is
    /// in the database for good: it is detached.
    async fn give_up(&mut self, loss: &Loss) {
        let detached = match loss {
            Loss::Broken(_) => Ok(drop(self.backend.take())),
            Loss::Escaped => match detach::close(&self.server, &self.database).await {
                Ok(admin) => {
                    drop(self.backend.take());
                    detach::rename(admin, &self.database).await
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = detached {
            crate::progress(&format!("cannot detach database {}: {error}", self.database));
        }
    }

    /// Proves that ptest's transaction still stands, and rolls it back.
    async fn roll_back(&mut self, backend: &mut Backend) -> Result<(), Lost> {
        let column = |row: Option<&Vec<Option<String>>>, i: usize| row.and_then(|row| row.get(i).cloned().flatten());
        // One string, one round trip; if the proof fails, the rest does no harm: the database is given up.
        let rows = backend.query(&format!("{};{}", acquire::retake_sql(), acquire::reset_sql(None))).await?;
        if column(rows.first(), 2).as_deref() != Some(&*self.began) {
            return Err(Lost::Escaped);
        }
        let restore = self.sequences.restore(column(rows.first(), 3).is_some());
        let rows = match restore {
            Some(_) => backend.query(&acquire::reset_sql(restore)).await?,
            None => rows,
        };
        self.began = column(rows.last(), 1).unwrap_or_default();
        self.sequences.remove_note();
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn backend_for_test(&mut self) -> &mut Backend {
        self.backend.as_mut().expect("no test is open")
    }

    /// Ends a test that had no sandbox.
    #[cfg(test)]
    pub(super) async fn lose_for_test(&mut self) -> Option<Loss> {
        let mut backend = self.backend.take()?;
        let loss = self.roll_back(&mut backend).await.err().map(Loss::from)?;
        self.backend = Some(backend);
        self.give_up(&loss).await;
        Some(loss)
    }
}

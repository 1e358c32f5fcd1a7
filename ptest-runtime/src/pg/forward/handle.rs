//! The handle: what reaches a forwarder from any thread.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::audit::Straggler;
use crate::engine::Activity;
use crate::pg::report::Snapshot;
use crate::pg::server::{Address, Endpoint};
use crate::pg::source::Reach;
use crate::test::runtime;

/// An open forwarder, as the test's thread has it.
#[derive(Debug)]
pub(crate) struct Opened {
    folder: PathBuf,
    port: u16,
    asks: mpsc::UnboundedSender<Ask>,
}

/// What a forwarder is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// What the sessions are at.
    Activity { reply: SyncSender<Activity> },
    /// What the sessions are at, and, of a test whose time is up, what the server is at.
    Look { timed_out: bool, reply: SyncSender<Snapshot> },
    /// The body has returned: which sessions are in a transaction?
    OpenTransactions { reply: oneshot::Sender<Vec<Straggler>> },
    /// End the clients: the test's time is up.
    Interrupt,
}

/// Reaches the clients of a test.
#[derive(Debug)]
struct Handle(mpsc::UnboundedSender<Ask>);

impl Opened {
    pub(super) fn new(folder: PathBuf, port: u16) -> (Opened, mpsc::UnboundedReceiver<Ask>) {
        let (asks, inbox) = mpsc::unbounded_channel();
        (Opened { folder, port, asks }, inbox)
    }

    /// Where clients find the database.
    pub(crate) fn address(&self, server: &Address, database: &str) -> Address {
        Address {
            endpoint: Endpoint::Unix { folder: self.folder.clone(), port: self.port },
            database: database.to_owned(),
            origin: "the test's database".to_owned(),
            home: None,
            ..server.clone()
        }
    }

    pub(crate) fn reach(&self) -> Box<dyn Reach> {
        Box::new(Handle(self.asks.clone()))
    }

    /// Lets tasks end the transactions that they have dropped, and gives those that stay open.
    pub(crate) fn settle(&self, runtime: Option<&Runtime>) -> Vec<Straggler> {
        let mut open = Vec::new();
        runtime::settle(runtime, || {
            let (reply, answer) = oneshot::channel();
            let _ = self.asks.send(Ask::OpenTransactions { reply });
            open = answer.blocking_recv().unwrap_or_default();
            !open.is_empty()
        });
        open
    }
}

impl Reach for Handle {
    fn look(&self, timed_out: bool) -> Option<Snapshot> {
        let (reply, snapshot) = sync_channel(1);
        self.0.send(Ask::Look { timed_out, reply }).ok()?;
        snapshot.recv().ok()
    }

    fn interrupt(&self) {
        let _ = self.0.send(Ask::Interrupt);
    }

    fn activity(&self) -> Option<Activity> {
        let (reply, activity) = sync_channel(1);
        self.0.send(Ask::Activity { reply }).ok()?;
        activity.recv().ok()
    }
}

/// Answers until the forwarder is closed.
pub(super) async fn serve(shared: Rc<Shared>, mut inbox: mpsc::UnboundedReceiver<Ask>) {
    while let Some(ask) = inbox.recv().await {
        match ask {
            Ask::Activity { reply } => drop(reply.send(shared.activity().await)),
            Ask::Look { timed_out, reply } => {
                let mut snapshot = Snapshot::now(timed_out);
                snapshot.record = Some(shared.log.copy());
                if timed_out {
                    snapshot.look_at_server(&shared.server, &shared.database).await;
                }
                let _ = reply.send(snapshot);
            }
            Ask::OpenTransactions { reply } => drop(reply.send(shared.open_transactions().await)),
            Ask::Interrupt => drop(shared.closing.send_replace(true)),
        }
    }
}

//! The database of a test with `isolation = "database"`: a clone of its own, with real transactions.
//!
//! ```text
//!                        ┌─────proven to be its template again─────┐
//!                        ▼                                         │
//!  (nothing) ──clone──► spare ──locked, renamed──► used ──the test ends──► dropped
//!        └──clone, when there is no spare───────────▲
//! ```
//!
//! On a server of the user's the name carries the state, and a rename is atomic: a spare is complete and as its template. The
//! number in both names is the key of an advisory lock that the test's process holds from before the database has the name
//! until after it is a spare or dropped. On ptest's own server a file does, its [claim](claim), and its lock. Either way, a used
//! database whose lock is free is garbage, whoever was killed when.
//!
//! No test waits for a `DROP` or for the clone of the next: both go to the server as one batch when a test ends, and the
//! server completes them also when the process is gone.

pub(crate) mod claim;
mod clients;
mod keeper;
mod lease;
mod likeness;
mod restore;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::audit::{Finding, Straggler};
use crate::config::Config;
use crate::engine::Activity;
use crate::error::Class;
use crate::pg::report::Snapshot;
use crate::pg::server::Address;
use crate::pg::slot::LeaseError;
use crate::pg::source::{GivenBack, Held, Reach, Source};
use crate::schema::Schema;
use crate::spec::{Level, TestSpec};
use crate::sys::BoxFuture;
use crate::test::runtime;
use keeper::{Lease, Order};

/// A test's own database. Dropping it throws the database away.
#[derive(Debug)]
pub(crate) struct OwnDatabase {
    name: String,
    server: Address,
    orders: mpsc::UnboundedSender<Order>,
    /// The transactions that were open when the body had returned.
    open: Vec<Straggler>,
    /// The fingerprint, if killed tests have left too many databases of it.
    piled_up: Option<String>,
}

/// Reaches the connections of a test, from any thread.
#[derive(Debug)]
struct Stopper(mpsc::UnboundedSender<Order>);

/// Keepers of this process that hold no database.
static IDLE: Mutex<Option<HashMap<Address, Vec<mpsc::UnboundedSender<Order>>>>> = Mutex::new(None);

/// Clones of a test's own.
pub(crate) struct Clones;

impl Source for Clones {
    type Held = OwnDatabase;

    async fn lease(server: &Address, schema: &Schema, test: &TestSpec) -> crate::Result<OwnDatabase> {
        lease(server, schema, test.level).await
    }
}

/// Leases a clean clone that nobody else has.
///
/// `level` is the default of its transactions.
async fn lease(server: &Address, schema: &Schema, level: Level) -> crate::Result<OwnDatabase> {
    while let Some(orders) = idle(|all| all.get_mut(server)?.pop()) {
        match ask(server, schema, level, orders).await {
            // It lost its server while it was idle.
            Err(error) if error.class() == Class::Gone => {}
            other => return other,
        }
    }
    ask(server, schema, level, keeper::start(server)?).await
}

/// Ends the idle connections to a server that ends.
pub(crate) fn forget(server: &Address) {
    idle(|all| all.remove(server));
}

async fn ask(
    server: &Address,
    schema: &Schema,
    level: Level,
    orders: mpsc::UnboundedSender<Order>,
) -> crate::Result<OwnDatabase> {
    let (reply, leased) = oneshot::channel();
    let _ = orders.send(Order::Lease { schema: schema.clone(), level, reply });
    let Lease { name, piled_up } = leased.await.map_err(|_| LeaseError::Gone)??;
    let piled_up = piled_up.then(|| schema.fingerprint.clone());
    Ok(OwnDatabase { name, server: server.clone(), orders, open: Vec::new(), piled_up })
}

impl OwnDatabase {
    /// The connections that are idle in a transaction. Blocks the thread of the test, whose body has returned.
    fn open_transactions(&self) -> Vec<Straggler> {
        let (reply, open) = oneshot::channel();
        let _ = self.orders.send(Order::OpenTransactions { reply });
        open.blocking_recv().unwrap_or_default()
    }
}

impl Held for OwnDatabase {
    fn server(&self) -> &Address {
        &self.server
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// On the server itself.
    fn address(&self) -> Address {
        Address { database: self.name.clone(), ..self.server.clone() }
    }

    fn number(&self) -> BoxFuture<'_, crate::Result<u32>> {
        let (reply, number) = oneshot::channel();
        Box::pin(async move {
            let first = Config::get()?.slot_hint;
            let _ = self.orders.send(Order::Number { first, reply });
            number.await.map_err(|_| LeaseError::Gone)?
        })
    }

    fn is_made(&self) -> bool {
        true
    }

    fn slot(&self) -> Option<u32> {
        None
    }

    fn reach(&self) -> Option<Box<dyn Reach>> {
        Some(Box::new(Stopper(self.orders.clone())))
    }

    fn settle(&mut self, runtime: Option<&Runtime>) {
        runtime::settle(runtime, || {
            self.open = self.open_transactions();
            !self.open.is_empty()
        });
    }

    fn close(self: Box<Self>, failed: bool) -> GivenBack {
        let (reply, closed) = oneshot::channel();
        let orders = self.orders.clone();
        let _ = self.orders.send(Order::Close { failed, reply, orders });
        let (leaks, kept) = closed.blocking_recv().unwrap_or_default();
        let leaks = leaks.into_iter().filter(|_| !failed);
        let findings = self.open.into_iter().chain(leaks).map(Finding::of).collect();
        GivenBack { findings, snapshot: None, kept, piled_up: self.piled_up }
    }
}

impl Reach for Stopper {
    fn look(&self, timed_out: bool) -> Option<Snapshot> {
        let (reply, snapshot) = std::sync::mpsc::sync_channel(1);
        self.0.send(Order::Look { timed_out, reply }).ok()?;
        snapshot.recv().ok()
    }

    fn interrupt(&self) {
        let _ = self.0.send(Order::Stop);
    }

    /// Its clients are connected to the server itself.
    fn activity(&self) -> Option<Activity> {
        None
    }
}

fn idle<T>(action: impl FnOnce(&mut HashMap<Address, Vec<mpsc::UnboundedSender<Order>>>) -> T) -> T {
    action(IDLE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

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

use tokio::sync::{mpsc, oneshot};

use crate::audit::Straggler;
use crate::config::Config;
use crate::error::Class;
use crate::pg::reaper;
use crate::pg::server::Address;
use crate::pg::single::SingleError;
use crate::pg::slot::LeaseError;
use crate::schema::Schema;
use crate::spec::Level;
use crate::test::report::{Kept, Scene};
use keeper::Order;

/// A test's own database. Dropping it throws the database away.
#[derive(Debug)]
pub(crate) struct OwnDatabase {
    name: String,
    server: Address,
    orders: mpsc::UnboundedSender<Order>,
}

/// Ends the connections of a test, from any thread.
#[derive(Debug, Clone)]
pub(crate) struct Stopper(mpsc::UnboundedSender<Order>);

/// Keepers of this process that hold no database.
static IDLE: Mutex<Option<HashMap<Address, Vec<mpsc::UnboundedSender<Order>>>>> = Mutex::new(None);

/// Leases a clean clone that nobody else has.
///
/// `level` is the default of its transactions.
pub(crate) async fn lease(server: &Address, schema: &Schema, level: Level) -> crate::Result<OwnDatabase> {
    if let Some(database) = server.single.clone() {
        return Err(SingleError::Isolation { database, user: server.user.clone() }.into());
    }
    while let Some(orders) = idle(|all| all.get_mut(server)?.pop()) {
        match ask(server, schema, level, orders).await {
            // It lost its server while it was idle.
            Err(error) if error.class() == Class::Gone => {}
            other => return other,
        }
    }
    ask(server, schema, level, keeper::start(server)?).await
}

async fn ask(
    server: &Address,
    schema: &Schema,
    level: Level,
    orders: mpsc::UnboundedSender<Order>,
) -> crate::Result<OwnDatabase> {
    let (reply, leased) = oneshot::channel();
    let _ = orders.send(Order::Lease { schema: schema.clone(), level, reply });
    let name = leased.await.map_err(|_| LeaseError::Gone)??;
    reaper::start_if_due(server, &Config::get()?.target_dir);
    Ok(OwnDatabase { name, server: server.clone(), orders })
}

impl OwnDatabase {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn server(&self) -> &Address {
        &self.server
    }

    /// Where clients of the test find the database: on the server itself.
    pub(crate) fn address(&self) -> Address {
        Address { database: self.name.clone(), ..self.server.clone() }
    }

    /// The smallest number, from `first` on, that no other running test with a database of its own has.
    pub(crate) async fn number(&self, first: u32) -> crate::Result<u32> {
        let (reply, number) = oneshot::channel();
        let _ = self.orders.send(Order::Number { first, reply });
        number.await.map_err(|_| LeaseError::Gone)?
    }

    pub(crate) fn stopper(&self) -> Stopper {
        Stopper(self.orders.clone())
    }

    /// The connections that are idle in a transaction. Blocks the thread of the test, whose body has returned.
    pub(crate) fn open_transactions(&self) -> Vec<Straggler> {
        let (reply, open) = oneshot::channel();
        let _ = self.orders.send(Order::OpenTransactions { reply });
        open.blocking_recv().unwrap_or_default()
    }

    /// Throws the database away, and tells which connections to it were still open. Blocks the thread of the test, whose
    /// runtime is gone.
    pub(crate) fn close(self, failed: bool) -> (Vec<Straggler>, Option<Kept>) {
        let (reply, closed) = oneshot::channel();
        let orders = self.orders.clone();
        let _ = self.orders.send(Order::Close { failed, reply, orders });
        closed.blocking_recv().unwrap_or_default()
    }
}

impl Stopper {
    /// What the test's connections are at; `None`: the keeper is gone.
    pub(crate) fn look(&self, timed_out: bool) -> Option<Scene> {
        let (reply, scene) = std::sync::mpsc::sync_channel(1);
        self.0.send(Order::Look { timed_out, reply }).ok()?;
        scene.recv().ok()
    }

    /// Ends the connections.
    pub(crate) fn stop(&self) {
        let _ = self.0.send(Order::Stop);
    }
}

fn idle<T>(action: impl FnOnce(&mut HashMap<Address, Vec<mpsc::UnboundedSender<Order>>>) -> T) -> T {
    action(IDLE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

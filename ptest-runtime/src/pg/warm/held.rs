//! A leased slot: a thread of its own that keeps the restorer and the sessions, so that they outlast the runtimes of tests.

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::acquire::{self, Attempt};
use super::keeper::Keeper;
use super::registry::{Place, Reserved};
use crate::audit::{Finding, Straggler};
use crate::pg::forward::Opened;
use crate::pg::server::Address;
use crate::pg::slot::LeaseError;
use crate::pg::source::{GivenBack, Held, Reach};
use crate::schema::Schema;
use crate::spec::Level;
use crate::sys::BoxFuture;

/// A slot that a test has.
#[derive(Debug)]
pub(crate) struct Warm {
    slot: Slot,
    place: Place,
    opened: Opened,
    /// The transactions that were open when the body had returned.
    open: Vec<Straggler>,
}

/// A slot between tests. Dropping it gives the slot up.
#[derive(Debug)]
pub(super) struct Slot {
    number: u32,
    database: String,
    server: Address,
    orders: mpsc::UnboundedSender<Order>,
}

/// What the slot's thread is told.
pub(super) enum Order {
    /// Let the clients of a test in, through a socket of its own.
    Open { level: Level, reply: oneshot::Sender<Result<Opened, LeaseError>> },
    /// End the clients, and put back what they have written.
    Close { failed: bool, place: Place, slot: Box<Slot>, reply: oneshot::Sender<GivenBack> },
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
        std::thread::Builder::new()
            .name(format!("ptest database {number}"))
            .spawn(move || hold(server_, schema_, reserved, make, ready, inbox))
            .map_err(crate::Error::other)?;
        let attempt = acquired.await.map_err(|_| LeaseError::Gone)??;
        Ok(attempt.map(|database| Slot { number, database, server: server.clone(), orders }))
    }

    /// Lets the clients of a test in.
    pub(super) async fn open(self, place: Place, level: Level) -> Result<Warm, LeaseError> {
        let (reply, opened) = oneshot::channel();
        let _ = self.orders.send(Order::Open { level, reply });
        let opened = opened.await.map_err(|_| LeaseError::Gone)??;
        Ok(Warm { slot: self, place, opened, open: Vec::new() })
    }
}

impl Held for Warm {
    fn server(&self) -> &Address {
        &self.slot.server
    }

    fn name(&self) -> &str {
        &self.slot.database
    }

    fn address(&self) -> Address {
        self.opened.address(&self.slot.server, &self.slot.database)
    }

    fn number(&self) -> BoxFuture<'_, crate::Result<u32>> {
        Box::pin(async { Ok(self.slot.number) })
    }

    fn slot(&self) -> Option<u32> {
        None
    }

    fn is_made(&self) -> bool {
        true
    }

    fn reach(&self) -> Option<Box<dyn Reach>> {
        Some(self.opened.reach())
    }

    fn settle(&mut self, runtime: Option<&Runtime>) {
        self.open = self.opened.settle(runtime);
    }

    fn close(self: Box<Self>, failed: bool) -> GivenBack {
        let Warm { slot, place, open, .. } = *self;
        let (reply, closed) = oneshot::channel();
        let orders = slot.orders.clone();
        let _ = orders.send(Order::Close { failed, place, slot: Box::new(slot), reply });
        let mut back = closed.blocking_recv().unwrap_or_default();
        back.findings.splice(0..0, open.into_iter().map(Finding::of));
        back
    }
}

/// The slot's thread.
fn hold(
    server: Address,
    schema: Schema,
    reserved: Reserved,
    make: bool,
    ready: oneshot::Sender<crate::Result<Attempt<String>>>,
    inbox: mpsc::UnboundedReceiver<Order>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(crate::Error::other(error)))),
    };
    LocalSet::new().block_on(&runtime, async move {
        match acquire::try_slot(&server, &schema, reserved.number(), make).await {
            Ok(Attempt::Leased(restorer)) => {
                let database = restorer.database.clone();
                let keeper = Keeper::new(server, schema, restorer, reserved).await;
                if ready.send(Ok(Attempt::Leased(database))).is_ok() {
                    keeper.serve(inbox).await;
                }
            }
            attempt => {
                // The number is free before anyone hears of it.
                drop(reserved);
                let _ = ready.send(attempt.map(|attempt| attempt.map(|_| String::new())));
            }
        }
    });
}

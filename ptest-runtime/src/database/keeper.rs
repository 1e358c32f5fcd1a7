//! The keeper: a thread with the one connection that holds a database's lock, and throws the database away.

use tokio::sync::{mpsc, oneshot};

use super::idle;
use super::lease::{self, Leased};
use super::restore;
use crate::audit::Straggler;
use crate::config::Config;
use crate::report::{Kept, Scene};
use crate::server::{Address, Admin};
use crate::template::Schema;
use crate::test::Level;

/// The connections that were still open, and where the database is kept.
pub(super) type Closed = (Vec<Straggler>, Option<Kept>);

/// What a keeper is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Lease a database for a test.
    Lease { schema: Schema, level: Level, reply: oneshot::Sender<crate::Result<String>> },
    /// Give the test a number that no other has.
    Number { first: u32, reply: oneshot::Sender<crate::Result<u32>> },
    /// Tell what the test's connections are at.
    Look { timed_out: bool, reply: std::sync::mpsc::SyncSender<Scene> },
    /// Tell which connections are idle in a transaction.
    OpenTransactions { reply: oneshot::Sender<Vec<Straggler>> },
    /// End the test's connections: its time is up.
    Stop,
    /// Throw the database away, and be idle again under this address.
    Close { failed: bool, reply: oneshot::Sender<Closed>, orders: mpsc::UnboundedSender<Order> },
}

/// Starts a keeper; it ends with the last sender of its orders.
pub(super) fn start(server: &Address) -> crate::Result<mpsc::UnboundedSender<Order>> {
    let (orders, inbox) = mpsc::unbounded_channel();
    let server = server.clone();
    std::thread::Builder::new()
        .name("ptest database".to_owned())
        .spawn(move || {
            // Without a runtime the orders are dropped, and their senders learn that the keeper is gone.
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(Keeper { server, admin: None, leased: None }.serve(inbox));
            }
        })
        .map_err(crate::Error::other)?;
    Ok(orders)
}

struct Keeper {
    server: Address,
    /// Opened for the first test.
    admin: Option<Admin>,
    leased: Option<Leased>,
}

impl Keeper {
    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Lease { schema, level, reply } => drop(reply.send(self.lease(schema, level).await)),
                Order::Number { first, reply } => {
                    if let Some(admin) = &mut self.admin {
                        let _ = reply.send(lease::number(admin, first).await);
                    }
                }
                Order::Look { timed_out, reply } => {
                    let mut scene = Scene::now(timed_out);
                    if let (Some(admin), Some(leased)) = (&mut self.admin, &self.leased) {
                        scene.look_through(admin, &leased.name).await;
                    }
                    let _ = reply.send(scene);
                }
                Order::OpenTransactions { reply } => {
                    if let (Some(admin), Some(leased)) = (&mut self.admin, &self.leased) {
                        let _ = reply.send(lease::open_transactions(admin, leased).await.unwrap_or_default());
                    }
                }
                Order::Stop => {
                    if let (Some(admin), Some(leased)) = (&mut self.admin, &self.leased) {
                        lease::stop(admin, leased).await;
                    }
                }
                Order::Close { failed, reply, orders } => {
                    if !self.close(failed, Some(reply)).await {
                        return;
                    }
                    idle(|all| all.entry(self.server.clone()).or_default().push(orders));
                }
            }
        }
        // A test that could not be opened.
        self.close(false, None).await;
    }

    async fn lease(&mut self, schema: Schema, level: Level) -> crate::Result<String> {
        let mut admin = match self.admin.take() {
            Some(admin) => admin,
            None => lease::open(&self.server).await?,
        };
        let leased = lease::take(&mut admin, schema).await?;
        lease::relieve(&self.server, &leased).await;
        if level != Level::ReadCommitted {
            lease::set_level(&mut admin, &leased, level).await?;
        }
        self.admin = Some(admin);
        Ok(self.leased.insert(leased).name.clone())
    }

    /// Whether the connection can serve another test.
    async fn close(&mut self, failed: bool, mut reply: Option<oneshot::Sender<Closed>>) -> bool {
        let (Some(admin), Some(mut leased)) = (&mut self.admin, self.leased.take()) else { return false };
        let leaks = match &reply {
            Some(_) => lease::leaks(admin, &leased).await.unwrap_or_default(),
            None => Vec::new(),
        };
        if let Some(reply) = reply.take_if(|_| Config::get().is_ok_and(|config| config.keep.wants(failed))) {
            let kept = lease::keep(admin, &leased).await;
            let _ = reply.send((leaks, Some(kept)));
            return lease::unlock(admin).await.is_ok();
        }
        // A name that cannot be given has somebody connected, who should not be there.
        if leaks.is_empty() && restore::restore(admin, &mut leased).await.unwrap_or(false) {
            if let Some(reply) = reply {
                let _ = reply.send((leaks, None));
            }
            return lease::unlock(admin).await.is_ok();
        }
        let sent = lease::throw_away(admin, &leased).await;
        // From here on the server needs nobody.
        if let Some(reply) = reply {
            let _ = reply.send((leaks, None));
        }
        sent.is_ok() && lease::thrown_away(admin).await.is_ok()
    }
}

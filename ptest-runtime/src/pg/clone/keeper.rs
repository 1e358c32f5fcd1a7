//! The keeper: a thread that holds a database's lock, and gives the database back or throws it away.
//!
//! It connects to the server for what it needs there: to lock a database of the user's server, to clone one, or to end one. For
//! a test that leases a spare of ptest's own server, and leaves what can be restored, it has one short session, at the end.

use tokio::sync::{mpsc, oneshot};

use super::lease::{self, Leased};
use super::{clients, idle, restore};
use crate::audit::Straggler;
use crate::config::Config;
use crate::engine::kept::Kept;
use crate::pg::report::Snapshot;
use crate::pg::server::{self, Address, Admin, Connection};
use crate::pg::slot::LeaseError;
use crate::schema::Schema;
use crate::spec::Level;

/// The connections that were still open, and where the database is kept.
pub(super) type Closed = (Vec<Straggler>, Option<Kept>);

/// What a test is told of the database that is leased to it.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) name: String,
    /// Killed tests have left too many databases of its template.
    pub(super) piled_up: bool,
}

/// What a keeper is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Lease a database for a test.
    Lease { schema: Schema, level: Level, reply: oneshot::Sender<crate::Result<Lease>> },
    /// Give the test a number that no other has.
    Number { first: u32, reply: oneshot::Sender<crate::Result<u32>> },
    /// Tell what the test's connections are at.
    Look { timed_out: bool, reply: std::sync::mpsc::SyncSender<Snapshot> },
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
                runtime.block_on(
                    Keeper { server, admin: None, session: None, has_asked: false, leased: None }.serve(inbox),
                );
            }
        })
        .map_err(crate::Error::other)?;
    Ok(orders)
}

struct Keeper {
    server: Address,
    /// Opened when first needed.
    admin: Option<Admin>,
    /// A session in the database of a test whose body has returned.
    session: Option<Connection>,
    /// Whether one was opened for this test, or could not be.
    has_asked: bool,
    leased: Option<Leased>,
}

impl Keeper {
    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Lease { schema, level, reply } => drop(reply.send(self.lease(schema, level).await)),
                Order::Number { first, reply } => {
                    let number = match self.admin().await {
                        Ok(admin) => lease::number(admin, first).await,
                        Err(error) => Err(error),
                    };
                    let _ = reply.send(number);
                }
                Order::Look { timed_out, reply } => {
                    let mut snapshot = Snapshot::now(timed_out);
                    if let Some((admin, leased)) = self.both().await {
                        snapshot.look_through(admin, &leased.name).await;
                    }
                    let _ = reply.send(snapshot);
                }
                Order::OpenTransactions { reply } => {
                    let open = match self.watcher().await {
                        Some((watcher, leased, _)) => clients::open_transactions(watcher, leased).await,
                        None => Ok(Vec::new()),
                    };
                    let _ = reply.send(open.unwrap_or_default());
                }
                Order::Stop => {
                    if let Some((admin, leased)) = self.both().await {
                        clients::stop(admin, leased).await;
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

    async fn lease(&mut self, schema: Schema, level: Level) -> crate::Result<Lease> {
        let leased = match server::claims(&self.server) {
            None => lease::take(self.admin().await?, schema).await?,
            Some(claims) => {
                if server::is_ending(&self.server) {
                    // It would wait for this connection, and let the test have none.
                    self.admin = None;
                }
                if !server::is_kept(&self.server) {
                    lease::ask_for_life(self.admin().await?).await?;
                }
                let (mut leased, is_made) = lease::claim(&claims, schema)?;
                if !is_made {
                    lease::make(self.admin().await?, &mut leased).await?;
                }
                leased
            }
        };
        self.has_asked = false;
        if level != Level::ReadCommitted {
            lease::set_level(self.admin().await?, &leased, level).await?;
        }
        let leased = self.leased.insert(leased);
        Ok(Lease { name: leased.name.clone(), piled_up: leased.piled_up })
    }

    async fn admin(&mut self) -> crate::Result<&mut Admin> {
        if self.admin.is_none() {
            self.admin = Some(lease::open(&self.server).await?);
        }
        self.admin.as_mut().ok_or_else(|| LeaseError::Gone.into())
    }

    /// What most orders are about; `None`: no test is open, or the server is gone.
    async fn both(&mut self) -> Option<(&mut Admin, &mut Leased)> {
        self.leased.as_ref()?;
        self.admin().await.ok()?;
        self.admin.as_mut().zip(self.leased.as_mut())
    }

    /// The connection that tells who else is connected, and whether it is in the test's database: the session, where the lease
    /// has no connection of its own.
    async fn watcher(&mut self) -> Option<(&mut Connection, &mut Leased, bool)> {
        let leased = self.leased.as_mut()?;
        if !std::mem::replace(&mut self.has_asked, true) && leased.claim.is_some() {
            self.session = restore::open(&self.server, leased).await;
        }
        if self.session.is_some() {
            return self.session.as_mut().zip(self.leased.as_mut()).map(|(session, leased)| (session, leased, true));
        }
        self.both().await.map(|(admin, leased)| (admin.connection(), leased, false))
    }

    /// Whether the keeper can serve another test.
    async fn close(&mut self, failed: bool, reply: Option<oneshot::Sender<Closed>>) -> bool {
        let Some(reply) = reply else {
            // A test that could not be opened.
            return self.throw_away().await && self.thrown_away().await;
        };
        let leaks = match self.watcher().await {
            Some((watcher, leased, is_inside)) => clients::leaks(watcher, leased, is_inside).await.unwrap_or_default(),
            None => Vec::new(),
        };
        if Config::get().is_ok_and(|config| config.keep.wants(failed)) {
            let kept = self.keep().await;
            let _ = reply.send((leaks, kept));
            return self.unlock().await;
        }
        // A database that somebody is left in is not looked at.
        if leaks.is_empty() && self.restore().await {
            let _ = reply.send((leaks, None));
            return self.unlock().await;
        }
        let sent = self.throw_away().await;
        // From here on the server needs nobody.
        let _ = reply.send((leaks, None));
        sent && self.thrown_away().await
    }

    async fn keep(&mut self) -> Option<Kept> {
        self.end_session().await;
        let (admin, leased) = self.both().await?;
        let kept = lease::keep(admin, leased).await;
        self.leased = None;
        Some(kept)
    }

    /// Whether the database is a spare again.
    async fn restore(&mut self) -> bool {
        let restored = match (&mut self.session, &mut self.admin, &mut self.leased) {
            (Some(session), _, Some(leased)) => restore::restore(session, leased).await,
            (None, Some(admin), Some(leased)) if leased.claim.is_none() => restore::restore_on(admin, leased).await,
            _ => return false,
        };
        let restored = restored.unwrap_or(false);
        if restored {
            self.leased = None;
            self.session = None;
        }
        restored
    }

    async fn throw_away(&mut self) -> bool {
        self.end_session().await;
        let Some((admin, leased)) = self.both().await else { return false };
        let sent = lease::throw_away(admin, leased).await.is_ok();
        self.leased = None;
        sent
    }

    async fn thrown_away(&mut self) -> bool {
        match &mut self.admin {
            Some(admin) => lease::thrown_away(admin).await.is_ok(),
            None => true,
        }
    }

    async fn unlock(&mut self) -> bool {
        match &mut self.admin {
            Some(admin) => lease::unlock(admin).await.is_ok(),
            None => true,
        }
    }

    async fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}

//! The keeper of a slot: its backend between tests, its sandbox during one, and the proof at the end that ptest's
//! transaction still stood.

use tokio::sync::mpsc;

use super::acquire::{self, Acquired};
use super::registry::Reserved;
use super::sequences::{Sequences, Which};
use super::slot::{Loss, Opened, Order, Verdict};
use super::{LeaseError, detach, keep};
use crate::config::Config;
use crate::report::Scene;
use crate::sandbox::{Backend, Constraints, Lost, Options, Sandbox};
use crate::server::Address;
use crate::socket::Socket;
use crate::test::Level;

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

    pub(super) async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Open { options, reply } => drop(reply.send(self.open(options).await)),
                Order::Probe { reply } => {
                    if let Some((sandbox, _)) = &self.sandbox {
                        let _ = reply.send(sandbox.activity().await);
                    }
                }
                Order::Look { timed_out, reply } => drop(reply.send(self.look(timed_out).await)),
                Order::Interrupt => {
                    if let Some((sandbox, _)) = &self.sandbox {
                        sandbox.interrupt();
                    }
                }
                Order::Close { failed, reply } => {
                    let verdict = self.close(failed).await;
                    if verdict.kept.is_some() {
                        drop(self);
                        let _ = reply.send(verdict);
                        return;
                    }
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

    async fn open(&mut self, options: Options) -> Result<Opened, LeaseError> {
        let (listener, socket) = Socket::bind()?;
        self.sequences.leave_note();
        let mut backend = self.backend.take().ok_or(LeaseError::Gone)?;
        if options.level != Level::ReadCommitted {
            let rows = backend.query(&acquire::reset_sql(options.level)).await.map_err(|_| LeaseError::Gone)?;
            self.began = rows.first().and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default();
        }
        let mut sandbox = Sandbox::open(backend, &self.database, self.constraints.clone(), socket.secret(), options);
        sandbox.listen(listener);
        let opened = Opened { folder: socket.folder().to_owned(), port: socket.port() };
        self.sandbox = Some((sandbox, socket));
        Ok(opened)
    }

    async fn look(&self, timed_out: bool) -> Scene {
        let mut scene = Scene::now(timed_out);
        scene.record = self.sandbox.as_ref().map(|(sandbox, _)| sandbox.record());
        if timed_out {
            scene.look_at_server(&self.server, &self.database).await;
        }
        scene
    }

    async fn close(&mut self, failed: bool) -> Verdict {
        let Some((sandbox, socket)) = self.sandbox.take() else { return Verdict::broken("no test was open") };
        drop(socket);
        let remains = sandbox.close().await;
        let mut kept = None;
        let lost = match (remains.lost, remains.backend) {
            (Some(lost), _) => Some(lost.into()),
            (None, None) => Some(Loss::Broken("a statement could not be cancelled".to_owned())),
            (None, Some(backend)) if Config::get().is_ok_and(|config| config.keep.wants(failed)) => {
                kept = Some(keep::keep(&self.server, &self.database, backend).await);
                self.sequences.remove_note();
                None
            }
            (None, Some(mut backend)) => {
                let rolled_back = self.roll_back(&mut backend).await;
                self.backend = Some(backend);
                rolled_back.err().map(Loss::from)
            }
        };
        Verdict { lost, leaked: remains.leaked, undone: remains.undone, record: remains.record, kept }
    }

    /// Lets the server roll back by ending the connection. Where the transaction has ended already, what the test did is
    /// in the database for good: it is detached.
    async fn give_up(&mut self, loss: &Loss) {
        let detached = match loss {
            Loss::Broken(_) => {
                drop(self.backend.take());
                Ok(())
            }
            Loss::Escaped => match detach::close(&self.server, &self.database).await {
                Ok(mut admin) => {
                    drop(self.backend.take());
                    detach::rename(&mut admin, &self.database, &detach::detached_name(&self.database)).await
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
        let rows =
            backend.query(&format!("{};{}", acquire::retake_sql(), acquire::reset_sql(Level::ReadCommitted))).await?;
        if column(rows.first(), 2).as_deref() != Some(&*self.began) {
            return Err(Lost::Escaped);
        }
        let took_number = column(rows.first(), 3).is_some();
        let counted = column(rows.first(), 4).as_deref() == Some("on");
        let restore = self.sequences.restore(if counted { Which::Read } else { Which::All });
        let rows = match restore.filter(|_| took_number) {
            Some(restore) => {
                backend.queries(&[&acquire::restore_sql(&restore), &acquire::ready_sql(Level::ReadCommitted)]).await?
            }
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

//! The keeper of a slot: its backend between tests, its sandbox during one, and the audit at the end.

mod door;

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use door::Door;

use super::acquire::Acquired;
use super::backing::Backing;
use super::held::{Loss, Order, Verdict};
use super::proof::{self, Answers, Proof};
use super::sequences::{Sequences, Which};
use super::{bloat, keep, lend, locks};
use crate::audit::Finding;
use crate::config::Config;
use crate::pg::report::Snapshot;
use crate::pg::sandbox::{Backend, Constraints, Lost, Remains, Sandbox};
use crate::pg::server::{Address, Rows};
use crate::spec::Level;

/// How long others may take to leave the database when they have disconnected.
const LEAVING: Duration = Duration::from_millis(100);

/// What the slot's thread keeps between tests.
pub(super) struct Keeper<B> {
    server: Address,
    backend: Option<Backend>,
    sandbox: Option<(Sandbox, Door)>,
    /// How many marks the test has made.
    marks: u32,
    database: String,
    constraints: Constraints,
    proof: Proof,
    sequences: Sequences,
    told: Option<String>,
    backing: B,
}

impl<B: Backing> Keeper<B> {
    pub(super) fn new(server: &Address, acquired: Acquired, backing: B) -> Self {
        Keeper {
            server: server.clone(),
            backend: Some(Backend::new(acquired.connection, server.clone())),
            sandbox: None,
            marks: 0,
            database: acquired.database,
            constraints: acquired.constraints,
            proof: acquired.proof,
            sequences: acquired.sequences,
            told: acquired.told,
            backing,
        }
    }

    pub(super) async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Open { options, reply } => {
                    let _ = reply.send(self.open(options, Door::bind()).await);
                }
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
                Order::Mark { reply } => drop(reply.send(self.mark().await)),
                Order::Return { mark, options, reply } => drop(reply.send(self.return_to(mark, options).await)),
                Order::Close { failed, again, reply } => {
                    let (verdict, door) = self.close(failed).await;
                    let door = door.filter(|_| again.is_some());
                    if verdict.kept.is_some() {
                        drop(self);
                        return drop(reply.send((verdict, None)));
                    }
                    if let Some(loss) = &verdict.lost {
                        self.give_up(loss).await;
                        // The connection and the number are gone before anyone hears of it.
                        drop(self);
                        return drop(reply.send((verdict, None)));
                    }
                    let opened = match (again, door) {
                        (Some(options), Some(door)) => self.open(options, Ok(door)).await.ok(),
                        _ => None,
                    };
                    let _ = reply.send((verdict, opened));
                }
                Order::GiveBack { fingerprint, number, reply } => {
                    let Keeper { server, backend, database, told, proof, .. } = self;
                    lend::give(&server, &fingerprint, number, &database, told.as_deref(), &proof, backend);
                    return reply.send(()).unwrap_or_default();
                }
            }
        }
    }

    async fn look(&self, timed_out: bool) -> Snapshot {
        let mut snapshot = Snapshot::now(timed_out);
        snapshot.record = self.sandbox.as_ref().map(|(sandbox, _)| sandbox.record());
        if timed_out {
            snapshot.look_at_server(&self.server, &self.database).await;
        }
        snapshot
    }

    async fn close(&mut self, failed: bool) -> (Verdict, Option<Door>) {
        let Some((sandbox, door)) = self.sandbox.take() else { return (Verdict::broken("no test was open"), None) };
        let mut remains = sandbox.close().await;
        let (mut findings, mut kept) = (Vec::new(), None);
        let lost = match (remains.lost.take(), remains.backend.take()) {
            (Some(lost), _) => Some(lost.into()),
            (None, None) => Some(Loss::Broken("a statement could not be cancelled".to_owned())),
            (None, Some(mut backend)) if Config::get().is_ok_and(|config| config.keep.wants(failed)) => {
                if !failed {
                    // What is lost here is found again by whoever keeps the database.
                    let _ = self.look_before_commit(&mut backend, &remains, &mut findings).await;
                }
                kept = Some(keep::keep(&self.server, &self.database, backend).await);
                self.sequences.remove_note();
                None
            }
            (None, Some(mut backend)) => {
                let lost = self.audit(&mut backend, !failed, &remains, &mut findings).await;
                self.backend = Some(backend);
                lost.unwrap_or_else(|lost| Some(lost.into()))
            }
        };
        if !failed {
            findings.extend(remains.deviations);
            findings.extend(remains.stragglers.into_iter().flat_map(Finding::all_of));
        }
        match &lost {
            Some(Loss::Ended) => findings.push(Finding::Ended { database: self.database.clone() }),
            Some(Loss::Written) => findings.push(Finding::Written { database: self.database.clone() }),
            Some(Loss::Shared(clients)) => {
                findings.push(Finding::OtherConnection { database: self.database.clone(), clients: clients.clone() })
            }
            Some(Loss::Worn | Loss::Broken(_)) | None => {}
        }
        (Verdict { lost, findings, record: remains.record, kept }, Some(door))
    }

    /// Looks at what a test that has passed leaves, where it is committed.
    async fn look_before_commit(
        &self,
        backend: &mut Backend,
        remains: &Remains,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Lost> {
        if remains.advisory {
            findings.extend(locks::held(backend).await?);
        }
        findings.extend(backend.check_leftover().await?.map(|error| Finding::DeferredConstraint { error }));
        if let Err(error) = backend.try_query("SET CONSTRAINTS ALL IMMEDIATE").await? {
            findings.push(Finding::DeferredConstraint { error });
            backend.undo();
        }
        Ok(())
    }

    /// Looks at what the test leaves, rolls it back, and begins ptest's next transaction; gives why the database must not
    /// be used again.
    async fn audit(
        &mut self,
        backend: &mut Backend,
        passed: bool,
        remains: &Remains,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Loss>, Lost> {
        if passed && remains.advisory {
            findings.extend(locks::held(backend).await?);
        }
        let (mut answers, mut rows) = self.roll_back(backend, passed, findings).await?;
        if !answers.stands {
            return Ok(Some(Loss::Ended));
        }
        let clients = match answers.shared {
            true => self.others(backend, &mut answers).await?,
            false => Vec::new(),
        };
        if answers.written {
            let analyzed = !backend.query(&self.proof.analyzed_sql()).await?.is_empty();
            return Ok(Some(if analyzed { Loss::Worn } else { Loss::Written }));
        }
        if !clients.is_empty() {
            return Ok(Some(Loss::Shared(clients)));
        }
        let restore = self.sequences.restore(if answers.counted { Which::Read } else { Which::All });
        if let Some(restore) = restore.filter(|_| answers.took_number) {
            rows = backend.queries(&[&proof::restore_sql(&restore), &proof::ready_sql(Level::ReadCommitted)]).await?;
        }
        match Proof::read(rows.last()) {
            Some(proof) => self.proof = proof,
            None => return Ok(Some(Loss::Broken("the lease was lost".to_owned()))),
        }
        self.sequences.remove_note();
        let worn = B::IS_CLONE && bloat::is_due(answers.logged) && bloat::is_bloated(backend, &self.database).await?;
        Ok(worn.then_some(Loss::Worn))
    }

    /// Who else is connected to the database. Whoever is on its way out has yet to report what it wrote.
    async fn others(&self, backend: &mut Backend, answers: &mut Answers) -> Result<Vec<String>, Lost> {
        let started = Instant::now();
        loop {
            let (clients, written) = self.proof.others(backend.query(&self.proof.others_sql()).await?);
            answers.written |= written;
            if clients.is_empty() || started.elapsed() > LEAVING {
                return Ok(clients);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One string, one round trip: asks for the proof, and rolls back. If the proof fails, the rest does no harm, for the
    /// database is given up. What is deferred is checked first; where that fails, nothing behind it has run.
    async fn roll_back(
        &self,
        backend: &mut Backend,
        passed: bool,
        findings: &mut Vec<Finding>,
    ) -> Result<(Answers, Rows), Lost> {
        let sql = format!("{};{}", self.proof.sql(), proof::reset_sql(Level::ReadCommitted));
        let mut checked = Err(String::new());
        if passed {
            findings.extend(backend.check_leftover().await?.map(|error| Finding::DeferredConstraint { error }));
            checked = backend.try_query(&format!("SET CONSTRAINTS ALL IMMEDIATE;{sql}")).await?;
        }
        let rows = match checked {
            Ok(rows) => rows,
            Err(error) => {
                if passed {
                    findings.push(Finding::DeferredConstraint { error });
                    backend.undo();
                }
                backend.query(&sql).await?
            }
        };
        Ok((self.proof.answers(rows.first()), rows))
    }

    /// Lets the server roll back by ending the connection. A database that was not the test's alone is taken out, so that
    /// nobody leases it again.
    async fn give_up(&mut self, loss: &Loss) {
        let taken_out = match loss {
            Loss::Broken(_) => Ok(()),
            Loss::Ended | Loss::Written | Loss::Shared(_) | Loss::Worn => {
                self.backing.take_out(&self.server, &self.database, &mut self.backend, loss).await
            }
        };
        drop(self.backend.take());
        if let Err(error) = taken_out {
            crate::sys::progress(&format!("cannot detach database {}: {error}", self.database));
        }
    }

    #[cfg(test)]
    pub(super) fn backend_for_test(&mut self) -> &mut Backend {
        self.backend.as_mut().expect("no test is open")
    }

    /// Ends a test that had no sandbox.
    #[cfg(test)]
    pub(super) async fn lose_for_test(&mut self) -> Option<Loss> {
        let mut backend = self.backend.take()?;
        let loss = self.audit(&mut backend, true, &Remains::default(), &mut Vec::new()).await;
        let loss = loss.unwrap_or_else(|lost| Some(lost.into()))?;
        self.backend = Some(backend);
        self.give_up(&loss).await;
        Some(loss)
    }
}

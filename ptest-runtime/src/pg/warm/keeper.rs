//! The keeper of a slot: its restorer and sessions between tests, its forwarder during one, and what follows.

use tokio::sync::mpsc;

use super::acquire::{self, Attempt};
use super::copies::Copies;
use super::held::Order;
use super::plan::Plan;
use super::registry::Reserved;
use super::replace;
use super::restorer::Restorer;
use crate::audit::Finding;
use crate::config::Config;
use crate::engine::kept::Kept;
use crate::pg::forward::{Forwarder, Left, Opened, Session, Startup};
use crate::pg::report::Snapshot;
use crate::pg::server::{Address, Admin, ServerError, quote_ident};
use crate::pg::slot::{LeaseError, mark_kept, rename};
use crate::pg::source::GivenBack;
use crate::pg::template::{family_of, kept_name};
use crate::schema::Schema;
use crate::spec::Level;

/// So many sessions are opened ahead for the next test, and kept, at most.
const MOST_SESSIONS: usize = 8;

/// What the slot's thread keeps between tests.
pub(super) struct Keeper {
    server: Address,
    schema: Schema,
    /// `None`: it is given up.
    restorer: Option<Restorer>,
    /// Sessions that are as new.
    sessions: Vec<Session>,
    forwarder: Option<Forwarder>,
    copies: Copies,
    reserved: Reserved,
}

impl Keeper {
    pub(super) async fn new(server: Address, schema: Schema, restorer: Restorer, reserved: Reserved) -> Keeper {
        let copies = reserved.copies();
        let mut keeper = Keeper {
            server,
            schema,
            restorer: Some(restorer),
            sessions: Vec::new(),
            forwarder: None,
            copies,
            reserved,
        };
        keeper.copy().await;
        keeper
    }

    pub(super) async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Open { level, reply } => {
                    let opened = self.open(level).await;
                    let is_lost = opened.is_err();
                    let _ = reply.send(opened);
                    if is_lost {
                        return;
                    }
                }
                Order::Close { failed, place, slot, reply } => {
                    let Some(forwarder) = self.forwarder.take() else { return };
                    let mut left = forwarder.close().await;
                    let record = std::mem::take(&mut left.record);
                    let mut closed = GivenBack { snapshot: Some(Snapshot::after(record)), ..GivenBack::default() };
                    if !failed {
                        let stragglers = std::mem::take(&mut left.stragglers);
                        closed.findings = stragglers.into_iter().map(Finding::of).collect();
                    }
                    if Config::get().is_ok_and(|config| config.keep.wants(failed)) {
                        closed.kept = Some(self.keep(left).await);
                        drop(self);
                        let _ = reply.send(closed);
                        return;
                    }
                    let expected = place.expect();
                    // Where each test is a process, nobody puts back what this one leaves.
                    if is_last_of_process() {
                        if self.put_back(left).await {
                            expected.arrive(*slot);
                        }
                        let _ = reply.send(closed);
                    } else {
                        let _ = reply.send(closed);
                        if self.put_back(left).await {
                            expected.arrive(*slot);
                        }
                    }
                    if self.restorer.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn open(&mut self, level: Level) -> Result<Opened, LeaseError> {
        let Some(restorer) = &mut self.restorer else { return Err(LeaseError::Gone) };
        if !restorer.begin(self.sessions.len()).await.unwrap_or(false) {
            self.replace().await;
            return Err(LeaseError::Gone);
        }
        let sessions = std::mem::take(&mut self.sessions);
        let reuses = !restorer.facts.remembers;
        let (forwarder, opened) = Forwarder::open(&self.server, &restorer.database, level, sessions, reuses)?;
        self.forwarder = Some(forwarder);
        Ok(opened)
    }

    /// Makes the database as its template, in place or by a clone; `false`: the slot is given up.
    async fn put_back(&mut self, left: Left) -> bool {
        let wanted = left.begun.clone();
        if self.restore(left).await.is_none() && !self.replace().await {
            return false;
        }
        self.open_ahead(&wanted).await;
        true
    }

    /// Puts back in place what was written; `None`: that cannot be done.
    async fn restore(&mut self, left: Left) -> Option<()> {
        let restorer = self.restorer.as_mut()?;
        let mut sessions = left.sessions;
        sessions.truncate(MOST_SESSIONS);
        let image = restorer.look(&left.ended, sessions.len()).await.ok()??;
        if left.words.hides {
            return None;
        }
        match Plan::of(&restorer.clean, &image, &restorer.facts, &self.copies) {
            Plan::Nothing => restorer.end(image).await.ok()?,
            Plan::PutBack(back) => restorer.put_back(&back).await.ok()?,
            Plan::Replace => return None,
        }
        self.sessions = sessions;
        Some(())
    }

    /// Puts a clone in the place of the database; `false`: the slot is given up.
    async fn replace(&mut self) -> bool {
        self.sessions.clear();
        let Some(restorer) = self.restorer.take() else { return false };
        match self.try_replace(restorer).await {
            Ok(Some(restorer)) => {
                self.restorer = Some(restorer);
                self.copy().await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                crate::sys::progress(&format!("cannot replace the database of a test: {error}"));
                false
            }
        }
    }

    async fn try_replace(&self, mut restorer: Restorer) -> crate::Result<Option<Restorer>> {
        let (database, oid) = (restorer.database.clone(), restorer.clean.oid);
        // What is left of it, the drop will name.
        let _ = replace::release(&mut restorer.connection).await;
        let mut admin = Admin::open(&self.server).await?;
        admin.outlive_client().await?;
        // The lease is held until nobody else can take the database for one that is only left.
        let sent = replace::begin(&mut admin, &self.schema, &database, Some(oid)).await?;
        drop(restorer);
        if is_last_of_process() {
            // The server does the rest.
            return Ok(None);
        }
        if sent {
            replace::finish(&mut admin, &database).await?;
        }
        admin.close().await;
        match acquire::try_slot(&self.server, &self.schema, self.reserved.number(), false).await? {
            Attempt::Leased(restorer) => Ok(Some(restorer)),
            Attempt::Held | Attempt::Missing | Attempt::Foreign | Attempt::Unable => Ok(None),
        }
    }

    /// Opens sessions for a test that begins as many as the last one.
    async fn open_ahead(&mut self, wanted: &[Startup]) {
        let Some(restorer) = self.restorer.as_ref().filter(|_| !is_last_of_process()) else { return };
        let mut missing: Vec<&Startup> = wanted.iter().take(MOST_SESSIONS).collect();
        for session in &self.sessions {
            if let Some(at) = missing.iter().position(|startup| session.begun_with(startup)) {
                missing.swap_remove(at);
            }
        }
        for startup in missing {
            match Session::open(&self.server, &restorer.database, startup).await {
                Ok(session) => self.sessions.push(session),
                // The test will hear why.
                Err(_) => return,
            }
        }
    }

    async fn copy(&mut self) {
        if let Some(restorer) = &mut self.restorer
            && restorer.copy(&self.copies).await.is_err()
        {
            self.restorer = None;
        }
    }

    /// Gives the database a name under which it stays for a day, with what the test has committed.
    async fn keep(&mut self, left: Left) -> Kept {
        let Some(restorer) = self.restorer.take() else { return Kept::Not("its slot is gone".to_owned()) };
        drop(left);
        let kept = async {
            let mut admin = Admin::open(&self.server).await?;
            let database = restorer.database.clone();
            mark_kept(&mut admin, &database).await?;
            let close = format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", quote_ident(&database));
            admin.run(&close).await?;
            restorer.connection.close().await;
            let name = kept_name(family_of(family_of(&database)), admin.now().await?);
            rename(&mut admin, &database, &name).await?;
            admin.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", quote_ident(&name))).await?;
            admin.close().await;
            Ok::<_, ServerError>(name)
        };
        kept.await.map_or_else(|error| Kept::Not(error.to_string()), Kept::As)
    }
}

/// Whether the process ends with the test that it runs.
fn is_last_of_process() -> bool {
    Config::get().is_ok_and(|config| config.process_per_test)
}

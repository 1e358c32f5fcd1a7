//! PostgreSQL as a kind of database: which server and which source a test's comes from, and what is said of it.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;

use super::clone::Clones;
use super::fixture;
use super::housekeeping::Housekeeping;
use super::postgres::Postgres;
use super::report::{PostgresSection, Snapshot};
use super::server::{self, Address, Offers};
use super::single::Single;
use super::slot::Slots;
use super::source::{GivenBack, Held, Reach, Source};
use super::warm;
use crate::audit::Finding;
use crate::config::{Config, ServerChoice};
use crate::engine::{Activity, Closed, Engine, Handle};
use crate::error::Class;
use crate::schema::Schema;
use crate::spec::{Isolation, Script, TestSpec};
use crate::sys::BoxFuture;

impl Engine for Postgres {
    const NAME: &'static str = "PostgreSQL";

    async fn open(test: &'static TestSpec) -> crate::Result<Self> {
        Ok(Postgres::new(test, lease(test).await?))
    }

    async fn load(&mut self, fixtures: &'static [Script]) -> crate::Result<()> {
        for fixture in fixtures {
            fixture::load(&self.address(), fixture).await?;
        }
        Ok(())
    }

    fn handle(&self) -> Option<Arc<dyn Handle>> {
        Some(Arc::new(PgHandle { reach: self.held.reach()?, seen: Arc::clone(&self.seen) }))
    }

    fn settle(&mut self, runtime: Option<&Runtime>) {
        self.held.settle(runtime);
    }

    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>> {
        self.held.restart()
    }

    fn mark(&self) -> BoxFuture<'_, Option<u32>> {
        self.held.mark()
    }

    fn return_to(&mut self, mark: u32) -> BoxFuture<'_, bool> {
        self.held.return_to(mark)
    }

    fn close(self, failed: bool) -> Closed {
        let Postgres { test, held, seen } = self;
        let mut section = PostgresSection::new(held.server(), held.name(), held.slot(), held.is_made());
        let server = held.is_made().then(|| held.server().clone());
        let GivenBack { findings, snapshot, kept, piled_up } = held.close(failed);
        section.snapshot = seen.get().cloned().or(snapshot).unwrap_or_else(|| Snapshot::now(false));
        section.keep(test, kept);
        let housekeeping = Housekeeping { server, isolation: test.isolation, piled_up };
        Closed {
            findings,
            failure: None,
            section: Box::new(section),
            housekeeping: Some(Box::new(move || housekeeping.run())),
        }
    }
}

/// Leases a database from the source that this test and this server have. A server that turns out not to run is started, if it
/// is ptest's.
async fn lease(test: &'static TestSpec) -> crate::Result<Box<dyn Held>> {
    let config = Config::get()?;
    let schema = Schema::known(&test.schema)?;
    let choice = config.server_of(test.url())?;
    let (server, offers) = server::find(config, &choice)?;
    match lease_on(&server, offers, &schema, test).await {
        Err(error) if error.class() == Class::NoServer => match revive(config, &choice, &server)? {
            Some(server) => lease_on(&server, offers, &schema, test).await,
            None => Err(error),
        },
        other => other,
    }
}

async fn lease_on(server: &Address, offers: Offers, schema: &Schema, test: &TestSpec) -> crate::Result<Box<dyn Held>> {
    let schema = &schema.owned_by(&server.user);
    Ok(match (offers, test.isolation) {
        (Offers::One, _) => Box::new(Single::lease(server, schema, test).await?),
        (Offers::Databases, Isolation::Transaction) => Box::new(Slots::lease(server, schema, test).await?),
        (Offers::Databases, Isolation::Database) => match warm::lease(server, schema, test).await? {
            Some(held) => Box::new(held),
            None => Box::new(Clones::lease(server, schema, test).await?),
        },
    })
}

/// Reaches the database, and notes what it has seen there.
#[derive(Debug)]
struct PgHandle {
    reach: Box<dyn Reach>,
    seen: Arc<OnceLock<Snapshot>>,
}

impl Handle for PgHandle {
    fn look(&self, timed_out: bool) {
        if self.seen.get().is_none()
            && let Some(snapshot) = self.reach.look(timed_out)
        {
            let _ = self.seen.set(snapshot);
        }
    }

    fn interrupt(&self) {
        self.reach.interrupt();
    }

    fn activity(&self) -> Option<Activity> {
        self.reach.activity()
    }
}

/// Starts ptest's own server anew. One that ends waits for the connections of this process, too.
fn revive(config: &Config, choice: &ServerChoice, server: &Address) -> crate::Result<Option<Address>> {
    super::slot::forget(server);
    super::clone::forget(server);
    Ok(server::revive(config, choice)?)
}

//! PostgreSQL as a kind of database: which server and which source a test's comes from, and what is said of it.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;

use super::clone::Clones;
use super::housekeeping::Housekeeping;
use super::report::{PostgresSection, Snapshot};
use super::server::{self, Address};
use super::slot::Slots;
use super::source::{GivenBack, Held, Reach, Source};
use super::{draft, drivers};
use crate::audit::Finding;
use crate::config::{Config, ServerChoice};
use crate::engine::{Activity, Closed, Engine, Handle};
use crate::error::Class;
use crate::schema::Schema;
use crate::spec::{Isolation, Script, TestSpec};
use crate::sys::BoxFuture;

/// The test's PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    test: &'static TestSpec,
    held: Box<dyn Held>,
    /// What the test was at, where somebody has looked.
    seen: Arc<OnceLock<Snapshot>>,
}

impl Postgres {
    fn new(test: &'static TestSpec, held: Box<dyn Held>) -> Self {
        Postgres { test, held, seen: Arc::default() }
    }

    /// A template under construction, for code of the user's that makes it.
    pub(crate) fn of_draft(address: Address) -> Self {
        Postgres::new(&crate::test::context::DRAFT, Box::new(draft::Draft(address)))
    }

    /// Where clients of the test find its database: in the sandbox, or on the server.
    pub(crate) fn address(&self) -> Address {
        self.held.address()
    }

    pub(crate) fn name(&self) -> &str {
        self.held.name()
    }

    /// A small number of the test's own.
    pub(crate) async fn number(&self) -> crate::Result<u32> {
        self.held.number().await
    }
}

impl Engine for Postgres {
    const NAME: &'static str = "PostgreSQL";

    async fn open(test: &'static TestSpec) -> crate::Result<Self> {
        let schema = Schema::known(&test.schema)?;
        let lease = async |server: &Address| lease(server, &schema.owned_by(&server.user), test).await;
        Ok(Postgres::new(test, on_server(Config::get()?, test.url(), lease).await?))
    }

    async fn load(&mut self, fixtures: &'static [Script]) -> crate::Result<()> {
        for fixture in fixtures {
            drivers::fixture::load(self, fixture).await?;
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
        let mut section = PostgresSection::new(held.server(), held.name(), held.slot());
        let mut housekeeping = Housekeeping::of(held.server(), test.isolation);
        let GivenBack { findings, snapshot, kept, piled_up } = held.close(failed);
        section.snapshot = seen.get().cloned().or(snapshot).unwrap_or_else(|| Snapshot::now(false));
        section.keep(test, kept);
        housekeeping.piled_up = piled_up;
        Closed {
            findings,
            failure: None,
            section: Box::new(section),
            housekeeping: Some(Box::new(move || housekeeping.run())),
        }
    }
}

/// Leases a database from the source that this test and this server have.
async fn lease(server: &Address, schema: &Schema, test: &TestSpec) -> crate::Result<Box<dyn Held>> {
    Ok(match test.isolation {
        Isolation::Transaction => Box::new(Slots::lease(server, schema, test).await?),
        Isolation::Database => Box::new(Clones::lease(server, schema, test).await?),
    })
}

/// Leases something on the server of this process's tests, which is started if it turns out not to run.
async fn on_server<T>(
    config: &Config,
    url: Option<&'static str>,
    lease: impl AsyncFn(&Address) -> crate::Result<T>,
) -> crate::Result<T> {
    let choice = config.server_of(url)?;
    let server = server::find(config, &choice)?;
    match lease(&server).await {
        Err(error) if error.class() == Class::NoServer => match revive(config, &choice, &server)? {
            Some(server) => lease(&server).await,
            None => Err(error),
        },
        other => other,
    }
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

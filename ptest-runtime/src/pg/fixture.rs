//! Fixtures: scripts that run inside the transaction before the body, as a session of the sandbox.

use std::path::Path;

use crate::error::Failure;
use crate::pg::script;
use crate::pg::server::{Address, Connection};
use crate::schema::{Cut, Script as Run, StepError};
use crate::spec::Script;

#[derive(Debug, thiserror::Error)]
#[error("cannot load fixture {path}")]
pub(crate) struct FixtureError {
    pub(crate) path: &'static str,
    pub(crate) source: StepError,
}

impl Failure for FixtureError {
    fn help(&self) -> Option<String> {
        self.source.help()
    }
}

pub(crate) async fn load(address: &Address, fixture: &Script) -> crate::Result<()> {
    let mut connection = Connection::open(address, &address.database, &[]).await?;
    let (path, sql) = (Path::new(fixture.path), fixture.sql);
    // As one string, which is one round trip.
    let cut = if script::has_commands(sql) { Cut::Statements } else { Cut::Whole };
    let run = Run { path, sql, in_transaction: false, cut, note: None };
    let done = script::run(&mut connection, &run).await;
    done.map_err(|error| FixtureError { path: fixture.path, source: error.at(path, sql) })?;
    connection.close().await;
    Ok(())
}

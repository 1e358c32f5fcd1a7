//! Fixtures: scripts that run inside the transaction before the body, as a session of the sandbox.

use crate::error::Failure;
use crate::pg::postgres::Postgres;
use crate::pg::server::Connection;
use crate::schema::{ApplyError, run_script};
use crate::spec::Script;

#[derive(Debug, thiserror::Error)]
#[error("cannot load fixture {path}")]
pub(crate) struct FixtureError {
    pub(crate) path: &'static str,
    pub(crate) source: ApplyError,
}

impl Failure for FixtureError {
    fn help(&self) -> Option<String> {
        self.source.help()
    }
}

pub(crate) async fn load(postgres: &Postgres, fixture: &Script) -> crate::Result<()> {
    let address = postgres.address();
    let mut connection = Connection::open(&address, &address.database, &[]).await?;
    run_script(&mut connection, fixture.path.into(), fixture.sql)
        .await
        .map_err(|source| FixtureError { path: fixture.path, source })?;
    connection.close().await;
    Ok(())
}

//! Fixtures: scripts that run inside the transaction before the body, as a session of the sandbox.

use crate::context::Postgres;
use crate::server::{Connection, QueryError};
use crate::template::ApplyError;
use crate::test::Fixture;

pub(crate) async fn load(postgres: &Postgres, fixture: &Fixture) -> crate::Result<()> {
    let address = postgres.address();
    let mut connection = Connection::open(&address, &address.database, &[]).await?;
    let result = match connection.query(fixture.sql).await {
        Ok(_) => Ok(()),
        Err(QueryError::Db(error)) => Err(ApplyError::at(fixture.path.into(), fixture.sql, error)),
        Err(QueryError::Io(error)) => Err(ApplyError::Migrator(Box::new(error))),
    };
    connection.close().await;
    result.map_err(crate::Error::other)
}

//! The types of bb8-postgres.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8::Pool;
use bb8_postgres::tokio_postgres::{Config, NoTls};

use crate::test::context::Context;
use crate::test::param::FromContext;

/// As many sessions as a test needs; they cost the server nothing.
const MAX_SIZE: u32 = 10;

#[diagnostic::do_not_recommend]
impl FromContext for PostgresConnectionManager<NoTls> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(PostgresConnectionManager::new(Config::from_context(cx).await?, NoTls))
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for Pool<PostgresConnectionManager<NoTls>> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let manager = PostgresConnectionManager::from_context(cx).await?;
        Ok(Pool::builder().max_size(MAX_SIZE).build_unchecked(manager))
    }
}

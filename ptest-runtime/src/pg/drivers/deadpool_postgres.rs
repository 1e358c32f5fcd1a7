//! The types of deadpool-postgres.

use deadpool_postgres::tokio_postgres::{Config, NoTls};
use deadpool_postgres::{Client, Manager, Pool};

use crate::test::context::Context;
use crate::test::param::FromContext;

/// As many sessions as a test needs; they cost the server nothing.
const MAX_SIZE: usize = 10;

#[diagnostic::do_not_recommend]
impl FromContext for Pool {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let manager = Manager::new(Config::from_context(cx).await?, NoTls);
        Pool::builder(manager).max_size(MAX_SIZE).build().map_err(crate::Error::other)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for Client {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Pool::from_context(cx).await?.get().await.map_err(crate::Error::other)
    }
}

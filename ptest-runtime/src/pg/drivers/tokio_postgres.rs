//! The types of tokio-postgres.

use tokio_postgres::{Client, Config, NoTls};

use crate::pg::postgres::Postgres;
use crate::pg::server::{Address, Endpoint};
use crate::test::context::Context;
use crate::test::param::FromContext;

#[diagnostic::do_not_recommend]
impl FromContext for Client {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let (client, connection) = Config::from_context(cx).await?.connect(NoTls).await.map_err(crate::Error::other)?;
        // It ends with the test's runtime. Its error is the client's too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// For an application that connects by itself. A socket rather than a stream in memory: cancel tokens need an address.
#[diagnostic::do_not_recommend]
impl FromContext for Config {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let mut config = Config::new();
        super::configure!(config, &cx.get::<Postgres>().await?.address());
        Ok(config)
    }
}

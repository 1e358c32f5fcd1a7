//! The types of tokio-postgres.

use tokio_postgres::{Client, Config, NoTls};

use crate::pg::postgres::Postgres;
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
        Ok(config(&cx.get::<Postgres>().await?.address()))
    }
}

fn config(address: &crate::pg::server::Address) -> Config {
    use crate::pg::server::Endpoint;
    let mut config = Config::new();
    config.user(&address.user).dbname(&address.database);
    if let Some(password) = &address.password {
        config.password(password);
    }
    match &address.endpoint {
        Endpoint::Unix { folder, port } => config.host_path(folder).port(*port),
        Endpoint::Tcp { host, port } => config.host(host).port(*port),
    };
    config
}

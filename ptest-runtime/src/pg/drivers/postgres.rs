//! The types of postgres, the client that blocks.

use postgres::{Client, Config, NoTls};

use crate::pg::server::{Address, Endpoint};
use crate::test::context::Context;
use crate::test::param::FromContext;

/// For a plain `fn`. It has a runtime of its own, and so cannot be used in an `async fn`, whose thread is in another.
#[diagnostic::do_not_recommend]
impl FromContext for Client {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let config = Config::from_context(cx).await?;
        // It blocks on a runtime, which no thread of another runtime may.
        let connected = tokio::task::spawn_blocking(move || config.connect(NoTls)).await;
        connected.map_err(crate::Error::other)?.map_err(crate::Error::other)
    }
}

/// For an application that connects by itself.
#[diagnostic::do_not_recommend]
impl FromContext for Config {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let mut config = Config::new();
        super::configure!(config, &cx.get::<crate::pg::postgres::Postgres>().await?.address());
        Ok(config)
    }
}

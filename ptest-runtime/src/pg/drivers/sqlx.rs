//! The types of sqlx for PostgreSQL: one text for every major version.

/// Implements the parameters for one major version of sqlx.
macro_rules! params {
    ($sqlx:ident) => {
        use std::sync::LazyLock;
        use std::time::Duration;

        use ::$sqlx::pool::PoolConnection;
        use ::$sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
        use ::$sqlx::{ConnectOptions, PgConnection, PgPool, Postgres, Transaction};

        use crate::pg::server::{Address, Endpoint};
        use crate::test::context::Context;
        use crate::test::param::FromContext;

        #[diagnostic::do_not_recommend]
        impl FromContext for PgPool {
            async fn from_context(cx: &mut Context) -> crate::Result<Self> {
                let options = PgConnectOptions::from_context(cx).await?;
                Ok(pool_options().connect_lazy_with(options))
            }
        }

        #[diagnostic::do_not_recommend]
        impl FromContext for PoolConnection<Postgres> {
            async fn from_context(cx: &mut Context) -> crate::Result<Self> {
                PgPool::from_context(cx).await?.acquire().await.map_err(crate::Error::other)
            }
        }

        #[diagnostic::do_not_recommend]
        impl FromContext for PgConnection {
            async fn from_context(cx: &mut Context) -> crate::Result<Self> {
                PgConnectOptions::from_context(cx).await?.connect().await.map_err(crate::Error::other)
            }
        }

        #[diagnostic::do_not_recommend]
        impl FromContext for Transaction<'static, Postgres> {
            async fn from_context(cx: &mut Context) -> crate::Result<Self> {
                PgPool::from_context(cx).await?.begin().await.map_err(crate::Error::other)
            }
        }

        #[diagnostic::do_not_recommend]
        impl FromContext for PgPoolOptions {
            async fn from_context(_: &mut Context) -> crate::Result<Self> {
                Ok(pool_options())
            }
        }

        #[diagnostic::do_not_recommend]
        impl FromContext for PgConnectOptions {
            async fn from_context(cx: &mut Context) -> crate::Result<Self> {
                let address = cx.get::<crate::pg::postgres::Postgres>().await?.address();
                Ok(connect_options(&address, &address.database))
            }
        }

        /// Of the size of `#[sqlx::test]`'s, so that a suite that passes with it has as many connections here.
        fn pool_options() -> PgPoolOptions {
            PgPoolOptions::new().max_connections(5).acquire_timeout(Duration::from_secs(30))
        }

        pub(crate) fn connect_options(address: &Address, database: &str) -> PgConnectOptions {
            // Made new, it looks for sockets of other servers and reads the environment of libpq.
            static BLANK: LazyLock<PgConnectOptions> = LazyLock::new(PgConnectOptions::new_without_pgpass);
            let options = BLANK
                .clone()
                .username(&address.user)
                .password(address.password.as_deref().unwrap_or_default())
                .database(database);
            match &address.endpoint {
                Endpoint::Unix { folder, port } => options.socket(folder).port(*port).ssl_mode(PgSslMode::Disable),
                Endpoint::Tcp { host, port } => options.host(host).port(*port).ssl_mode(PgSslMode::Prefer),
            }
        }
    };
}

pub(super) use params;

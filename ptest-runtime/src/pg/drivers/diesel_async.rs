//! The types of diesel-async for PostgreSQL, over tokio-postgres.

use diesel_async::{AsyncConnection, AsyncPgConnection};

use crate::pg::param::PgUrl;
use crate::test::context::Context;
use crate::test::param::FromContext;

#[diagnostic::do_not_recommend]
impl FromContext for AsyncPgConnection {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let url = PgUrl::from_context(cx).await?;
        AsyncPgConnection::establish(url.as_str()).await.map_err(crate::Error::other)
    }
}

#[cfg(any(feature = "diesel-async-bb8", feature = "diesel-async-deadpool", feature = "diesel-async-mobc"))]
mod pools {
    use diesel_async::AsyncPgConnection;
    use diesel_async::pooled_connection::AsyncDieselConnectionManager;

    use crate::pg::param::PgUrl;
    use crate::test::context::Context;
    use crate::test::param::FromContext;

    type Manager = AsyncDieselConnectionManager<AsyncPgConnection>;

    #[diagnostic::do_not_recommend]
    impl FromContext for Manager {
        async fn from_context(cx: &mut Context) -> crate::Result<Self> {
            Ok(Manager::new(PgUrl::from_context(cx).await?.as_str()))
        }
    }

    #[cfg(feature = "diesel-async-bb8")]
    #[diagnostic::do_not_recommend]
    impl FromContext for diesel_async::pooled_connection::bb8::Pool<AsyncPgConnection> {
        async fn from_context(cx: &mut Context) -> crate::Result<Self> {
            Ok(Self::builder().max_size(10).build_unchecked(Manager::from_context(cx).await?))
        }
    }

    #[cfg(feature = "diesel-async-deadpool")]
    #[diagnostic::do_not_recommend]
    impl FromContext for diesel_async::pooled_connection::deadpool::Pool<AsyncPgConnection> {
        async fn from_context(cx: &mut Context) -> crate::Result<Self> {
            let builder = Self::builder(Manager::from_context(cx).await?);
            builder.max_size(10).build().map_err(crate::Error::other)
        }
    }

    #[cfg(feature = "diesel-async-mobc")]
    #[diagnostic::do_not_recommend]
    impl FromContext for diesel_async::pooled_connection::mobc::Pool<AsyncPgConnection> {
        async fn from_context(cx: &mut Context) -> crate::Result<Self> {
            Ok(Self::builder().max_open(10).build(Manager::from_context(cx).await?))
        }
    }
}

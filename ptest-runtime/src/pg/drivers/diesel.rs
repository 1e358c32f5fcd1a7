//! The types of diesel for PostgreSQL, over libpq.

use diesel::r2d2::{ConnectionManager, Pool};
use diesel::{Connection, PgConnection};

use crate::pg::param::PgUrl;
use crate::test::context::Context;
use crate::test::param::FromContext;

/// As many sessions as a test needs; they cost the server nothing.
const MAX_SIZE: u32 = 10;

#[diagnostic::do_not_recommend]
impl FromContext for PgConnection {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let url = PgUrl::from_context(cx).await?;
        PgConnection::establish(url.as_str()).map_err(crate::Error::other)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for ConnectionManager<PgConnection> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(ConnectionManager::new(PgUrl::from_context(cx).await?.as_str()))
    }
}

/// It connects when first used, not to its full size at once.
#[diagnostic::do_not_recommend]
impl FromContext for Pool<ConnectionManager<PgConnection>> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let manager = ConnectionManager::from_context(cx).await?;
        Ok(Pool::builder().max_size(MAX_SIZE).min_idle(Some(0)).build_unchecked(manager))
    }
}

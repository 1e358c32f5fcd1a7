//! The connection of sea-orm, on a pool of sqlx.

use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::PgPool;

use crate::test::context::Context;
use crate::test::param::FromContext;

#[diagnostic::do_not_recommend]
impl FromContext for DatabaseConnection {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(PgPool::from_context(cx).await?))
    }
}

//! What ptest has to be told of sea-orm.

use std::ops::Deref;

use lending::migration::Migrator;
use ptest::{Context, FromContext};
use sea_orm::{Database, DatabaseConnection, SqlxPostgresConnector};
use sea_orm_migration::MigratorTrait;
use sqlx::PgPool;

/// The migrations of this crate, for the argument `migrator`.
pub(crate) struct Migrations;

impl ptest::Migrator for Migrations {
    fn name(&self) -> &str {
        "sea-orm"
    }

    fn fingerprint(&self) -> String {
        concat!(
            include_str!("../../src/migration/mod.rs"),
            include_str!("../../src/migration/m20260101_000001_books.rs"),
            include_str!("../../src/migration/m20260102_000001_loans.rs"),
        )
        .to_owned()
    }

    async fn migrate(&self, url: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let db = Database::connect(url).await?;
        Migrator::up(&db, None).await?;
        Ok(db.close().await?)
    }
}

/// A connection of sea-orm, as the parameter of a test.
pub(crate) struct Db(DatabaseConnection);

impl Deref for Db {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.0
    }
}

impl FromContext for Db {
    async fn from_context(cx: &mut Context) -> ptest::Result<Self> {
        Ok(Db(SqlxPostgresConnector::from_sqlx_postgres_pool(PgPool::from_context(cx).await?)))
    }
}

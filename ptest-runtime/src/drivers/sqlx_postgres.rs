//! The types of sqlx for PostgreSQL.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgErrorPosition, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Transaction};

use crate::context::{Context, FromContext};
use crate::server::{Address, Endpoint};
use crate::template::ApplyError;

impl FromContext for PgPool {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let options = PgConnectOptions::from_context(cx).await?;
        Ok(pool_options().connect_lazy_with(options))
    }
}

impl FromContext for PoolConnection<Postgres> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        PgPool::from_context(cx).await?.acquire().await.map_err(crate::Error::other)
    }
}

impl FromContext for PgConnection {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        PgConnectOptions::from_context(cx).await?.connect().await.map_err(crate::Error::other)
    }
}

impl FromContext for Transaction<'static, Postgres> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        PgPool::from_context(cx).await?.begin().await.map_err(crate::Error::other)
    }
}

impl FromContext for PgPoolOptions {
    async fn from_context(_: &mut Context) -> crate::Result<Self> {
        Ok(pool_options())
    }
}

impl FromContext for PgConnectOptions {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let address = cx.postgres().await?.address();
        let database = address.database.clone();
        Ok(connect_options(&address, &database))
    }
}

/// As `#[sqlx::test]` has them, but for its connection limits: sessions of the sandbox cost the server nothing.
fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_secs(30))
}

fn connect_options(address: &Address, database: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .username(&address.user)
        .password(address.password.as_deref().unwrap_or_default())
        .database(database);
    match &address.endpoint {
        Endpoint::Unix { folder, port } => options.socket(folder).port(*port).ssl_mode(PgSslMode::Disable),
        Endpoint::Tcp { host, port } => options.host(host).port(*port).ssl_mode(PgSslMode::Prefer),
    }
}

/// Applies a folder of migrations as sqlx does, with its table of migrations.
pub(crate) async fn migrate_folder(address: &Address, database: &str, folder: &Path) -> Result<(), ApplyError> {
    let migrator = Migrator::new(folder).await.map_err(|e| ApplyError::Migrator(Box::new(e)))?;
    migrate(address, database, &migrator).await
}

/// Applies a migrator.
pub(crate) async fn migrate(address: &Address, database: &str, migrator: &Migrator) -> Result<(), ApplyError> {
    let unexpected = |e: sqlx::Error| ApplyError::Migrator(Box::new(e));
    let mut connection = connect_options(address, database).connect().await.map_err(unexpected)?;
    let result = migrator.run_direct(None, &mut connection, false).await;
    connection.close().await.map_err(unexpected)?;
    result.map_err(|error| failure(error, migrator))
}

/// Says which migration failed, and at which line.
fn failure(error: MigrateError, migrator: &Migrator) -> ApplyError {
    let MigrateError::ExecuteMigration(sqlx::Error::Database(database), version) = &error else {
        return ApplyError::Migrator(Box::new(error));
    };
    let migration = migrator.iter().find(|m| m.version == *version && !m.migration_type.is_down_migration());
    let position = match database.try_downcast_ref::<PgDatabaseError>().and_then(|e| e.position()) {
        Some(PgErrorPosition::Original(position)) => Some(position),
        _ => None,
    };
    let text = migration.map_or("", |m| m.sql.as_str());
    let line = position.map(|p| 1 + text.chars().take(p.saturating_sub(1)).filter(|c| *c == '\n').count());
    let name = migration.map_or_else(String::new, |m| format!("{}_{}", m.version, m.description.replace(' ', "_")));
    ApplyError::Migration { path: name.into(), line, source: Box::new(error) }
}

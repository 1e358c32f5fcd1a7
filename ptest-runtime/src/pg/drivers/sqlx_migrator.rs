//! The migrator that sqlx would make of the migrations that ptest has read.

use std::collections::BTreeSet;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
#[cfg(feature = "sqlx-postgres")]
use sqlx::{ConnectOptions, Connection, migrate::MigrateError, postgres::PgConnectOptions};

#[cfg(feature = "sqlx-postgres")]
use crate::error::Cause;
use crate::schema::migrations::MigrationSet;
use crate::schema::settings::SqlxSettings;

/// The migrator that sqlx itself would make of the folder: the same versions, descriptions and checksums, so that an
/// application's own migrator finds nothing to do.
pub(crate) fn migrator(set: &MigrationSet, settings: &SqlxSettings) -> Migrator {
    let ignored: BTreeSet<char> = settings.ignored_chars.iter().copied().collect();
    let migrations = set.migrations.iter().filter_map(|migration| {
        let file = migration.path.file_name()?.to_str()?;
        let kind = MigrationType::from_filename(file);
        // sqlx hashes the text without the ignored characters, and runs it with them.
        let hashed: String = migration.sql.chars().filter(|c| !ignored.contains(c)).collect();
        let mut made = Migration::new(
            migration.version.parse().ok()?,
            migration.name.replace('_', " ").into(),
            kind,
            sqlx::AssertSqlSafe(hashed).into_sql_str(),
            !migration.in_transaction,
        );
        made.sql = sqlx::AssertSqlSafe(migration.sql.clone()).into_sql_str();
        Some(made)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    if let Some(table) = &settings.table_name {
        migrator.dangerous_set_table_name(table.clone());
    }
    for schema in &settings.create_schemas {
        migrator.create_schema(schema.clone());
    }
    migrator
}

/// Applies a migrator; an error comes with the version that failed.
#[cfg(feature = "sqlx-postgres")]
pub(crate) async fn migrate(options: PgConnectOptions, migrator: &Migrator) -> Result<(), (Cause, Option<String>)> {
    let unexpected = |e: sqlx::Error| (e.into(), None);
    let mut connection = options.connect().await.map_err(unexpected)?;
    let result = migrator.run_direct(None, &mut connection, false).await;
    connection.close().await.map_err(unexpected)?;
    result.map_err(|error| {
        let version = match &error {
            MigrateError::ExecuteMigration(_, version) => Some(version.to_string()),
            _ => None,
        };
        (error.into(), version)
    })
}

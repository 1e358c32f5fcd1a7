//! The migrator of sqlx: one of the user's, and one that is made of the migrations that ptest has read.

use std::collections::BTreeSet;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

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

impl crate::Migrator for Migrator {
    fn name(&self) -> &str {
        "sqlx"
    }

    fn fingerprint(&self) -> String {
        let mut text = format!("{:?} {} {:?}", self.table_name, self.no_tx, self.create_schemas);
        for migration in self.iter().filter(|migration| migration.migration_type.is_up_migration()) {
            // A checksum may leave out characters that change what the statements do.
            let length = migration.sql.as_str().len();
            let Migration { version, description, checksum, no_tx, .. } = migration;
            text += &format!("\n{version} {no_tx} {description:?} {checksum:02x?} {length}");
        }
        text
    }

    async fn migrate(&self, url: &str) -> Result<(), Cause> {
        #[cfg(feature = "sqlx-postgres")]
        if url.starts_with("postgres") {
            return super::sqlx_postgres::migrate(url.parse()?, self).await.map_err(|(error, _)| error);
        }
        #[cfg(feature = "sqlx-sqlite")]
        if url.starts_with("sqlite") {
            return Ok(crate::sqlite::drivers::run_migrator(url.parse()?, self).await?);
        }
        Err(format!("the migrator of sqlx on this database needs another feature of ptest: {url}").into())
    }
}

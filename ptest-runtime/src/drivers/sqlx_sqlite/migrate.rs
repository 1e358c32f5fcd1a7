//! The template's content: the migrations, applied as their own tool would.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};

use super::script::{self, Failure};
use crate::drivers::sqlx_migrator;
use crate::sqlite::SqliteError;
use crate::sqlite::template::Template;
use crate::template::migrations::{Migration, MigrationSet};
use crate::template::{DIESEL_TABLE, Layout, Schema, Source};

/// Makes sure that the schema's template exists, and those that it is copied from.
pub(super) async fn ensure(root: &Path, schema: &Schema) -> Result<Template, SqliteError> {
    if let Some(template) = Template::get(root, &schema.fingerprint) {
        return Ok(template);
    }
    let base = match schema.base() {
        Some(base) => Some(Box::pin(ensure(root, base)).await?),
        None => None,
    };
    Template::get_or_build(root, &schema.fingerprint, async |path| build(path, schema, base.as_ref()).await).await
}

/// Makes the schema's database at `path` and closes it, complete in one file.
async fn build(path: &Path, schema: &Schema, base: Option<&Template>) -> Result<(), SqliteError> {
    let failed = |e: sqlx::Error| SqliteError::Build { path: path.to_owned(), source: e.into() };
    if let Some(template) = base {
        template.copy_to(path)?;
    }
    let options = super::connect_options().filename(path).create_if_missing(true);
    let mut conn = options.journal_mode(SqliteJournalMode::Memory).connect().await.map_err(failed)?;
    if base.is_none() {
        // An empty file has no header, and the header is where a slot sets its journal mode.
        sqlx::raw_sql("PRAGMA user_version = 0").execute(&mut conn).await.map_err(failed)?;
    }
    let migrated = migrate(&mut conn, schema).await;
    // A migration may have chosen WAL, which is three files.
    let single = sqlx::raw_sql("PRAGMA journal_mode = DELETE").execute(&mut conn).await;
    // Awaited also after a failure: the caller removes the files.
    let closed = conn.close().await;
    migrated?;
    single.map_err(failed)?;
    closed.map_err(failed)
}

async fn migrate(conn: &mut SqliteConnection, schema: &Schema) -> Result<(), SqliteError> {
    match &schema.source {
        Source::Empty => Ok(()),
        Source::Seed(scripts) => {
            for script in *scripts {
                script::run_seed(conn, script).await?;
            }
            Ok(())
        }
        Source::Migrator(migrator) => run_migrator(conn, migrator, &[]).await,
        Source::Folder(folder) => {
            let set = schema.read(folder)?;
            match set.layout {
                Layout::Sqlx => run_migrator(conn, &sqlx_migrator::migrator(&set, &folder.sqlx), &set.migrations).await,
                Layout::Diesel | Layout::Refinery => run_scripts(conn, &set).await,
            }
        }
    }
}

/// Applies sqlx's migrations, so that the application's own migrator finds nothing to do. `files` are where they were
/// read from.
async fn run_migrator(
    conn: &mut SqliteConnection,
    migrator: &Migrator,
    files: &[Migration],
) -> Result<(), SqliteError> {
    let Err(error) = migrator.run(&mut *conn).await else { return Ok(()) };
    let MigrateError::ExecuteMigration(error, version) = error else {
        return Err(SqliteError::Migrator { source: error.into() });
    };
    let migration = migrator.iter().find(|m| m.version == version && m.migration_type.is_up_migration());
    let Some(migration) = migration else { return Err(SqliteError::Migrator { source: error.into() }) };
    let file = files.iter().find(|file| file.version.parse() == Ok(version));
    let mut place = match file {
        Some(file) => file.path.display().to_string(),
        None => format!("{version} ({})", migration.description),
    };
    if let Some(line) = failed_line(conn, migration.sql.as_str(), !migration.no_tx, &error).await {
        place += &format!(":{line}");
    }
    Err(SqliteError::Migration { place, source: error.into() })
}

/// Runs a failed migration again to see which statement it is: sqlx's migrator has rolled it back and does not say.
async fn failed_line(
    conn: &mut SqliteConnection,
    sql: &str,
    in_transaction: bool,
    error: &sqlx::Error,
) -> Option<usize> {
    let Failure { line, source } = run_script(conn, sql, in_transaction).await.err()?;
    // Without a transaction the first run has left something, and the second may have failed elsewhere.
    (source.to_string() == error.to_string()).then_some(line)
}

/// Runs the migrations of another tool's layout, and fills diesel's table.
async fn run_scripts(conn: &mut SqliteConnection, set: &MigrationSet) -> Result<(), SqliteError> {
    let is_diesel = set.layout == Layout::Diesel;
    let unexpected = |error: sqlx::Error| SqliteError::Migrator { source: error.into() };
    if is_diesel {
        sqlx::raw_sql(DIESEL_TABLE).execute(&mut *conn).await.map_err(unexpected)?;
    }
    for migration in &set.migrations {
        run_script(conn, &migration.sql, migration.in_transaction).await.map_err(|Failure { line, source }| {
            SqliteError::Migration { place: format!("{}:{line}", migration.path.display()), source: source.into() }
        })?;
        if is_diesel {
            let applied = sqlx::query("INSERT INTO __diesel_schema_migrations (version) VALUES (?)");
            applied.bind(&migration.version).execute(&mut *conn).await.map_err(unexpected)?;
        }
    }
    Ok(())
}

async fn run_script(conn: &mut SqliteConnection, sql: &str, in_transaction: bool) -> Result<(), Failure> {
    if !in_transaction {
        return script::run(conn, sql).await;
    }
    let at_start = |source| Failure { line: 1, source };
    // Dropped on failure, which rolls back.
    let mut transaction = conn.begin().await.map_err(at_start)?;
    script::run(&mut transaction, sql).await?;
    transaction.commit().await.map_err(at_start)
}

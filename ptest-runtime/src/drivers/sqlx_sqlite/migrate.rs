//! The template's content: the migrations, applied by sqlx's own migrator.

use std::path::{Path, PathBuf};

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};

use super::script::{self, Failure};
use crate::sqlite::SqliteError;
use crate::sqlite::schema::SchemaSource;

/// Makes a migrated database at `path` and closes it, complete in one file.
pub(super) async fn build(path: &Path, source: &SchemaSource) -> Result<(), SqliteError> {
    let failed = |e: sqlx::Error| SqliteError::Build { path: path.to_owned(), source: e.into() };
    let options = super::connect_options().filename(path).create_if_missing(true);
    let mut conn = options.journal_mode(SqliteJournalMode::Memory).connect().await.map_err(failed)?;
    // An empty file has no header, and the header is where a slot sets its journal mode.
    sqlx::raw_sql("PRAGMA user_version = 0").execute(&mut conn).await.map_err(failed)?;
    let migrated = migrate(&mut conn, source).await;
    // A migration may have chosen WAL, which is three files.
    let single = sqlx::raw_sql("PRAGMA journal_mode = DELETE").execute(&mut conn).await;
    // Awaited also after a failure: the caller removes the files.
    let closed = conn.close().await;
    migrated?;
    single.map_err(failed)?;
    closed.map_err(failed)
}

async fn migrate(conn: &mut SqliteConnection, source: &SchemaSource) -> Result<(), SqliteError> {
    let migrator = match source {
        SchemaSource::Empty => return Ok(()),
        SchemaSource::Migrator(migrator) => migrator,
        SchemaSource::Dir(folder) => &load(folder).await?,
    };
    refuse_same_version(migrator, source)?;
    match migrator.run(&mut *conn).await {
        Ok(()) => Ok(()),
        Err(MigrateError::ExecuteMigration(error, version)) => {
            let migration = migrator.iter().find(|m| is_applied(m) && m.version == version);
            let place = match migration {
                Some(migration) => {
                    let line = failed_line(conn, migration, &error).await;
                    describe(migration, source) + &line.map_or(String::new(), |line| format!(":{line}"))
                }
                None => version.to_string(),
            };
            Err(SqliteError::Migration { place, source: error.into() })
        }
        Err(error) => Err(SqliteError::Migration { place: "of the schema".to_owned(), source: error.into() }),
    }
}

async fn load(folder: &Path) -> Result<Migrator, SqliteError> {
    Migrator::new(folder)
        .await
        .map_err(|error| SqliteError::Migrations { folder: folder.to_owned(), source: error.into() })
}

/// sqlx reports the second as a unique violation in its own table.
fn refuse_same_version(migrator: &Migrator, source: &SchemaSource) -> Result<(), SqliteError> {
    let mut applied: Vec<&Migration> = migrator.iter().filter(|m| is_applied(m)).collect();
    applied.sort_by_key(|m| m.version);
    match applied.windows(2).find(|pair| pair[0].version == pair[1].version) {
        None => Ok(()),
        Some(pair) => {
            let mut names = files(source, pair[0].version);
            names.sort();
            let name = |i: usize| names.get(i).cloned().unwrap_or_else(|| describe(pair[i], source));
            Err(SqliteError::SameVersion { version: pair[0].version, first: name(0), second: name(1) })
        }
    }
}

fn is_applied(migration: &Migration) -> bool {
    migration.migration_type.is_up_migration()
}

/// The migration's file where there is one, else its number and description.
fn describe(migration: &Migration, source: &SchemaSource) -> String {
    let described = format!("{} ({})", migration.version, migration.description);
    files(source, migration.version).pop().unwrap_or(described)
}

fn files(source: &SchemaSource, version: i64) -> Vec<String> {
    let SchemaSource::Dir(folder) = source else { return Vec::new() };
    let is_up = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.split_once('_').and_then(|(number, _)| number.parse().ok());
        number == Some(version) && name.ends_with(".sql") && !name.ends_with(".down.sql")
    };
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_up).map(|path| path.display().to_string()).collect()
}

/// Runs the failed migration again to see which statement it is: sqlx's migrator has rolled it back and does not say.
async fn failed_line(conn: &mut SqliteConnection, migration: &Migration, error: &sqlx::Error) -> Option<usize> {
    if !migration.no_tx {
        sqlx::raw_sql("BEGIN").execute(&mut *conn).await.ok()?;
    }
    let Failure { line, source } = script::run(conn, migration.sql.as_str()).await.err()?;
    if !migration.no_tx {
        sqlx::raw_sql("ROLLBACK").execute(conn).await.ok();
    }
    // Without a transaction the first run has left something, and the second may have failed elsewhere.
    (source.to_string() == error.to_string()).then_some(line)
}

//! The template's content: the migrations, applied as their own tool would.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::SqliteTest;
use super::script::{self, Failure};
use crate::error::Cause;
use crate::pg::drivers::sqlx_migrator;
use crate::schema::history::{self, Dialect};
use crate::schema::migrations::{Folder, Migration, MigrationSet};
use crate::schema::{Layout, Schema, Source, apart};
use crate::spec::Script;
use crate::sqlite::SqliteError;
use crate::sqlite::template::Template;
use crate::test::context::Context;
use crate::test::migrator::AnyMigrator;
use crate::test::setup::Setup;

/// How long a connection that was dropped may take to let go of the file.
const LET_GO: Duration = Duration::from_secs(5);

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
    match base {
        Some(template) => template.copy_to(path)?,
        // An empty file has no header, and the header is where a slot sets its journal mode.
        None => with_connection(path, async |conn| execute(conn, path, "PRAGMA user_version = 0").await).await?,
    }
    match &schema.source {
        Source::Empty => {}
        Source::Folder(folder) => with_connection(path, async |conn| migrate(conn, schema, folder).await).await?,
        Source::Seed(scripts) => with_connection(path, async |conn| seed(conn, scripts).await).await?,
        Source::Migrator(migrator) => {
            let migrator: &'static dyn AnyMigrator = *migrator;
            let url = super::url_of(&super::connect_options().filename(path));
            let done = apart(async move || migrator.migrate(&url).await).await;
            done.map_err(|source| SqliteError::Migrator { tool: migrator.name().to_owned(), source })?;
        }
        Source::Setup(setup) => {
            let setup: &'static Setup = setup;
            let file = path.to_owned();
            let done = apart(async move || (setup.run)(&mut Context::of_draft(SqliteTest::of_draft(file))).await).await;
            done.map_err(|source| SqliteError::Setup { path: setup.path, source })?;
        }
    }
    single_file(path).await
}

async fn with_connection(
    path: &Path,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), SqliteError>,
) -> Result<(), SqliteError> {
    let failed = |e: sqlx::Error| SqliteError::Build { path: path.to_owned(), source: e.into() };
    let options = super::connect_options().filename(path).create_if_missing(true);
    let mut conn = options.connect().await.map_err(failed)?;
    let done = work(&mut conn).await;
    // Awaited also after a failure: the caller removes the files.
    let closed = conn.close().await;
    done?;
    closed.map_err(failed)
}

async fn execute(conn: &mut SqliteConnection, path: &Path, sql: &'static str) -> Result<(), SqliteError> {
    let done = sqlx::raw_sql(sql).execute(conn).await;
    done.map(drop).map_err(|error| SqliteError::Build { path: path.to_owned(), source: error.into() })
}

/// Undoes a choice of WAL, which is three files. A connection that was dropped, not closed, may still be about to end.
async fn single_file(path: &Path) -> Result<(), SqliteError> {
    let started = Instant::now();
    loop {
        let alone = with_connection(path, async |conn| execute(conn, path, "PRAGMA journal_mode = DELETE").await).await;
        match alone {
            Err(_) if started.elapsed() < LET_GO => tokio::time::sleep(Duration::from_millis(20)).await,
            other => return other,
        }
    }
}

async fn seed(conn: &mut SqliteConnection, scripts: &'static [Script]) -> Result<(), SqliteError> {
    for script in scripts {
        script::run_seed(conn, script).await?;
    }
    Ok(())
}

async fn migrate(conn: &mut SqliteConnection, schema: &Schema, folder: &Folder) -> Result<(), SqliteError> {
    let set = schema.read(folder)?;
    match set.layout {
        Layout::Sqlx => run_files(conn, &sqlx_migrator::migrator(&set, &folder.sqlx), &set.migrations).await,
        Layout::Diesel | Layout::Refinery | Layout::Dbmate | Layout::Numbered => run_scripts(conn, &set).await,
    }
}

/// Applies sqlx's migrations, so that the application's own migrator finds nothing to do. `files` are where they were
/// read from.
async fn run_files(conn: &mut SqliteConnection, migrator: &Migrator, files: &[Migration]) -> Result<(), SqliteError> {
    let Err(error) = migrator.run(&mut *conn).await else { return Ok(()) };
    let MigrateError::ExecuteMigration(error, version) = error else {
        return Err(of_sqlx(error));
    };
    let migration = migrator.iter().find(|m| m.version == version && m.migration_type.is_up_migration());
    let Some(migration) = migration else { return Err(of_sqlx(error)) };
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

fn of_sqlx(error: impl Into<Cause>) -> SqliteError {
    SqliteError::Migrator { tool: "sqlx".to_owned(), source: error.into() }
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

/// Runs the migrations of another tool's layout, and notes them as the tool does.
async fn run_scripts(conn: &mut SqliteConnection, set: &MigrationSet) -> Result<(), SqliteError> {
    let unexpected =
        |error: sqlx::Error| SqliteError::Migrator { tool: set.layout.tool().to_owned(), source: error.into() };
    if let Some(sql) = history::table_sql(set) {
        sqlx::raw_sql(sql).execute(&mut *conn).await.map_err(unexpected)?;
    }
    for migration in &set.migrations {
        run_script(conn, &migration.sql, migration.in_transaction).await.map_err(|Failure { line, source }| {
            SqliteError::Migration { place: format!("{}:{line}", migration.path.display()), source: source.into() }
        })?;
        if let Some(sql) = history::note_sql(set, migration, Dialect::Sqlite) {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await.map_err(unexpected)?;
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

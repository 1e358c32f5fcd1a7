//! The template's content: the steps of a schema, applied in a file under construction.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::SqliteTest;
use super::script::{self, Failed};
use crate::schema::{Dialect, Draft, Schema, Script, ScriptError, ScriptRunner};
use crate::sqlite::SqliteError;
use crate::sqlite::template::Template;
use crate::sys::BoxFuture;
use crate::test::context::Context;

/// How long a connection that was dropped may take to let go of the file.
const LET_GO: Duration = Duration::from_secs(5);

/// Undoes what a script may have set for its connection and a template is built with.
const RESET: &str = "PRAGMA foreign_keys = ON";

static DIALECT: Dialect = Dialect {
    timestamp: "TIMESTAMP",
    now: "CURRENT_TIMESTAMP",
    now_text: "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
    bytes: "BLOB",
    counter: "INTEGER PRIMARY KEY AUTOINCREMENT",
    hex: |digits| format!("X'{digits}'"),
    text: |text| format!("'{}'", text.replace('\'', "''")),
    // An error where there is none of the name: SQLite cannot make one.
    create_schema: |name| format!("PRAGMA {name}.schema_version;"),
};

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
    let mut scripts = Runner { path, connection: None };
    let url = super::url_of(&super::connect_options().filename(path));
    let file = path.to_owned();
    let context = Arc::new(move || Box::new(Context::of_draft(SqliteTest::of_draft(file.clone()))) as Box<dyn Any>);
    let applied = schema.apply(&mut Draft { url, scripts: &mut scripts, context }).await;
    // Awaited also after a failure: the caller removes the files.
    let closed = scripts.close().await;
    applied.map_err(|source| SqliteError::Apply { verb: schema.step.verb(), source })?;
    closed.map_err(|error| failed(path, error))?;
    single_file(path).await
}

/// Runs scripts in a file, on one connection, which is opened for the first.
struct Runner<'a> {
    path: &'a Path,
    connection: Option<SqliteConnection>,
}

impl Runner<'_> {
    async fn close(self) -> sqlx::Result<()> {
        match self.connection {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }

    async fn apply(&mut self, script: Script<'_>) -> Result<(), ScriptError> {
        let unexpected = |error: sqlx::Error| ScriptError::Database { source: error.into(), help: None };
        let conn = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(open(self.path).await.map_err(unexpected)?),
        };
        if script.in_transaction {
            // Dropped on failure, which rolls back.
            let mut transaction = conn.begin().await.map_err(unexpected)?;
            run(&mut transaction, &script).await?;
            // A deferred constraint fails here.
            let line = 1 + script.sql.trim_end().matches('\n').count();
            let failed = |error: sqlx::Error| ScriptError::Statement { line, source: error.into(), help: None };
            transaction.commit().await.map_err(failed)?;
        } else {
            run(conn, &script).await?;
        }
        sqlx::raw_sql(RESET).execute(conn).await.map(drop).map_err(unexpected)
    }
}

impl ScriptRunner for Runner<'_> {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn run<'r>(&'r mut self, script: Script<'r>) -> BoxFuture<'r, Result<(), ScriptError>> {
        Box::pin(self.apply(script))
    }
}

async fn run(conn: &mut SqliteConnection, script: &Script<'_>) -> Result<(), ScriptError> {
    let failed = |Failed { line, source }| ScriptError::Statement { line, source: source.into(), help: None };
    script::run(&mut *conn, script.sql).await.map_err(failed)?;
    let Some(note) = script.note else { return Ok(()) };
    let noted = sqlx::raw_sql(AssertSqlSafe(note.to_owned())).execute(conn).await;
    noted.map(drop).map_err(|error| ScriptError::Database { source: error.into(), help: None })
}

async fn open(path: &Path) -> sqlx::Result<SqliteConnection> {
    super::connect_options().filename(path).create_if_missing(true).connect().await
}

fn failed(path: &Path, error: sqlx::Error) -> SqliteError {
    SqliteError::Build { path: path.to_owned(), source: error.into() }
}

async fn with_connection(
    path: &Path,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), SqliteError>,
) -> Result<(), SqliteError> {
    let mut conn = open(path).await.map_err(|error| failed(path, error))?;
    let done = work(&mut conn).await;
    let closed = conn.close().await;
    done?;
    closed.map_err(|error| failed(path, error))
}

async fn execute(conn: &mut SqliteConnection, path: &Path, sql: &'static str) -> Result<(), SqliteError> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop).map_err(|error| failed(path, error))
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

//! A script is run as its tool would run it: as one string, or statement by statement as psql does it.

use super::help;
use super::psql::{self, Piece};
use crate::error::Failure;
use crate::pg::sandbox;
use crate::pg::server::{Address, Connection, DbError, QueryError, ServerError, quote_literal};
use crate::schema::{Cut, Dialect, Script, ScriptError, ScriptRunner};
use crate::sys::BoxFuture;

/// Undoes what a script has set for its session. `RESET ALL` leaves the user.
const RESET: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL";

static DIALECT: Dialect = Dialect {
    timestamp: "TIMESTAMPTZ",
    now: "now()",
    now_text: "pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    bytes: "BYTEA",
    counter: "SERIAL NOT NULL PRIMARY KEY",
    hex: |digits| format!("'\\x{digits}'"),
    text: quote_literal,
    create_schema: |name| format!("CREATE SCHEMA IF NOT EXISTS {name};"),
};

/// Runs scripts in a database, on one connection, which is opened for the first.
pub(crate) struct Runner<'a> {
    address: &'a Address,
    database: &'a str,
    connection: Option<Connection>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(address: &'a Address, database: &'a str) -> Runner<'a> {
        Runner { address, database, connection: None }
    }

    /// Ends the connection, and waits until it has ended.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }

    async fn apply(&mut self, script: Script<'_>) -> Result<(), ScriptError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.address, self.database, &[]).await?),
        };
        let ended = if script.in_transaction { "COMMIT" } else { "" };
        if script.in_transaction {
            own(connection, "BEGIN").await?;
        }
        run(connection, &script).await?;
        own(connection, RESET).await?;
        own(connection, script.note.unwrap_or_default()).await?;
        // A deferred constraint fails here.
        let last = 1 + script.sql.trim_end().matches('\n').count();
        query(connection, ended, &script).await.map_err(|error| error.at_line(last))
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

/// Runs a script on a connection, and nothing around it.
pub(crate) async fn run(connection: &mut Connection, script: &Script<'_>) -> Result<(), ScriptError> {
    match script.cut {
        Cut::Whole => query(connection, script.sql, script).await,
        Cut::Statements => run_pieces(connection, script).await,
    }
}

async fn run_pieces(connection: &mut Connection, script: &Script<'_>) -> Result<(), ScriptError> {
    let mut pieces = psql::Pieces::new(script.sql);
    while let Some((line, piece)) = pieces.next() {
        match piece.map_err(|refused| ScriptError::Statement {
            line,
            source: refused.into(),
            help: Some(psql::HELP.to_owned()),
        })? {
            Piece::Statement(sql) => {
                let done = query(connection, &sql, script).await;
                done.map_err(|error| error.moved(line - 1))?;
            }
            Piece::Copy { sql, rows, first } => {
                let done = connection.copy_in(&sql, rows).await;
                done.map_err(|error| failed(error, connection, &sql, script).moved(line - 1).in_rows(first))?;
            }
            Piece::Skipped(what) => {
                crate::progress(&format!(
                    "skips `{what}` at line {line} of {}: it is for another database",
                    script.path.display()
                ));
            }
        }
    }
    Ok(())
}

async fn query(connection: &mut Connection, sql: &str, script: &Script<'_>) -> Result<(), ScriptError> {
    match connection.query(sql).await {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(error, connection, sql, script)),
    }
}

/// Runs what ptest itself asks for.
async fn own(connection: &mut Connection, sql: &str) -> Result<(), ScriptError> {
    match connection.query(sql).await {
        Ok(_) => Ok(()),
        Err(QueryError::Db(error)) => Err(ScriptError::Database { source: error.into(), help: None }),
        Err(QueryError::Io(error)) => Err(error.into()),
    }
}

/// An error names the line of its position, else of the statement that failed.
fn failed(error: QueryError, connection: &Connection, sql: &str, script: &Script<'_>) -> ScriptError {
    let source = match error {
        QueryError::Io(error) => return error.into(),
        QueryError::Db(source) => source,
    };
    let offset = match source.position {
        Some(position) => sql.char_indices().nth(position.saturating_sub(1)).map_or(sql.len(), |(at, _)| at),
        None => sandbox::ranges(sql.as_bytes()).nth(connection.completed()).map_or(0, |range| range.start),
    };
    let line = 1 + sql[..offset].matches('\n').count();
    let help = help::of(&source, connection.major_version(), script);
    ScriptError::Statement { line, source: source.into(), help }
}

impl ScriptError {
    /// The same, of a piece of a script that begins below this many lines.
    fn moved(self, lines: usize) -> ScriptError {
        match self {
            ScriptError::Statement { line, source, help } => {
                ScriptError::Statement { line: line + lines, source, help }
            }
            other => other,
        }
    }

    fn at_line(self, line: usize) -> ScriptError {
        match self {
            ScriptError::Statement { source, help, .. } => ScriptError::Statement { line, source, help },
            other => other,
        }
    }

    /// The same at the row that it names, where the rows begin at this line.
    fn in_rows(self, first: usize) -> ScriptError {
        let row = match &self {
            ScriptError::Statement { source, .. } => source.downcast_ref::<DbError>().and_then(psql::row_of),
            ScriptError::Database { .. } => None,
        };
        match row {
            Some(row) => self.at_line(first + row - 1),
            None => self,
        }
    }
}

impl From<std::io::Error> for ScriptError {
    fn from(error: std::io::Error) -> Self {
        ScriptError::Database { source: QueryError::Io(error).into(), help: None }
    }
}

impl From<ServerError> for ScriptError {
    fn from(error: ServerError) -> Self {
        let help = error.help();
        ScriptError::Database { source: error.into(), help }
    }
}

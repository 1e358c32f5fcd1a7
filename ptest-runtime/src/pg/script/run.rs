//! A script is run as its tool would run it: as one string, or statement by statement as psql does it.

use std::borrow::Cow;

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

    /// All is sent before the answer to the first is read. What comes behind a failure fails too, or is dropped with the
    /// database.
    async fn apply(&mut self, script: Script<'_>) -> Result<(), ScriptError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.address, self.database, &[]).await?),
        };
        let mut sent = Sent::new(connection, &script);
        if script.in_transaction {
            sent.push(Place::Ptest, "BEGIN".into()).await?;
        }
        run_in(&mut sent, &script).await?;
        sent.push(Place::Ptest, RESET.into()).await?;
        sent.push(Place::Ptest, script.note.unwrap_or_default().into()).await?;
        if script.in_transaction {
            // A deferred constraint fails here.
            let last = 1 + script.sql.trim_end().matches('\n').count();
            sent.push(Place::End(last), "COMMIT".into()).await?;
        }
        sent.answers().await
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
    let mut sent = Sent::new(connection, script);
    run_in(&mut sent, script).await?;
    sent.answers().await
}

async fn run_in<'s>(sent: &mut Sent<'_, 's>, script: &Script<'s>) -> Result<(), ScriptError> {
    if script.cut == Cut::Whole {
        sent.push(Place::Above(0), script.sql.into()).await?;
        // If it copies, the server takes what follows for rows.
        return if script.sql.to_ascii_lowercase().contains("stdin") { sent.answers().await } else { Ok(()) };
    }
    let mut pieces = psql::Pieces::new(script.sql);
    while let Some((line, piece)) = pieces.next() {
        match piece {
            Ok(Piece::Statement(sql)) => sent.push(Place::Above(line - 1), sql).await?,
            Ok(Piece::Copy { sql, rows, first }) => {
                sent.answers().await?;
                let done = sent.connection.copy_in(&sql, rows).await;
                done.map_err(|error| sent.failed(error, &sql).moved(line - 1).in_rows(first))?;
            }
            Ok(Piece::Skipped(what)) => crate::sys::progress(&format!(
                "skips `{what}` at line {line} of {}: it is for another database",
                script.path.display()
            )),
            Err(refused) => {
                sent.answers().await?;
                return Err(ScriptError::Statement { line, source: refused.into(), help: Some(psql::HELP.to_owned()) });
            }
        }
    }
    Ok(())
}

/// Queries that are sent, whose answers are to be read.
struct Sent<'c, 's> {
    connection: &'c mut Connection,
    script: Script<'s>,
    queries: Vec<(Place, Cow<'s, str>)>,
    bytes: usize,
}

/// Where a query stands in the script.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Below this many lines.
    Above(usize),
    /// Nowhere: it is what ends the transaction. The line is the script's last.
    End(usize),
    /// Nowhere: ptest itself asks for it.
    Ptest,
}

impl<'c, 's> Sent<'c, 's> {
    /// How much is sent at most before answers are read. Where more is, each end may wait for the other to read: a socket of
    /// 200 kB holds no more than some hundred short answers.
    const BYTES: usize = 32 * 1024;
    const QUERIES: usize = 32;

    fn new(connection: &'c mut Connection, script: &Script<'s>) -> Sent<'c, 's> {
        Sent { connection, script: *script, queries: Vec::new(), bytes: 0 }
    }

    async fn push(&mut self, place: Place, sql: Cow<'s, str>) -> Result<(), ScriptError> {
        if sql.is_empty() {
            return Ok(());
        }
        if self.bytes + sql.len() > Self::BYTES || self.queries.len() == Self::QUERIES {
            self.answers().await?;
        }
        if let Err(error) = self.connection.send(&sql).await {
            // The server may have said why.
            self.answers().await?;
            return Err(error.into());
        }
        self.bytes += sql.len();
        self.queries.push((place, sql));
        Ok(())
    }

    /// Reads all answers; the first error counts.
    async fn answers(&mut self) -> Result<(), ScriptError> {
        self.bytes = 0;
        let mut result = Ok(());
        for (place, sql) in std::mem::take(&mut self.queries) {
            let Err(error) = self.connection.finish().await else { continue };
            if result.is_err() {
                // It fails for the same reason; or the connection has ended.
                continue;
            }
            result = Err(match place {
                Place::Above(lines) => self.failed(error, &sql).moved(lines),
                Place::End(line) => self.failed(error, &sql).at_line(line),
                Place::Ptest => self.failed(error, &sql).of_ptest(),
            });
        }
        result
    }

    fn failed(&self, error: QueryError, sql: &str) -> ScriptError {
        failed(error, self.connection, sql, &self.script)
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

    /// The same of what ptest itself has asked for.
    fn of_ptest(self) -> ScriptError {
        match self {
            ScriptError::Statement { source, help, .. } => ScriptError::Database { source, help },
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

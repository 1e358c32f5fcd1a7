//! Scripts of several statements, and the line of the one that failed.

use std::future::poll_fn;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use crate::spec::Script;
use crate::sqlite::SqliteError;
use crate::sqlite::script::line_of_statement;

/// Why a script failed, and the line where the failed statement begins.
pub(super) struct Failed {
    pub(super) line: usize,
    pub(super) source: sqlx::Error,
}

pub(super) async fn run_fixture(conn: &mut SqliteConnection, fixture: &'static Script) -> Result<(), SqliteError> {
    run(conn, fixture.sql).await.map_err(|Failed { line, source }| SqliteError::Fixture {
        path: fixture.path,
        line,
        source: source.into(),
    })
}

/// Runs every statement of `script`, up to the first that fails.
pub(super) async fn run(conn: &mut SqliteConnection, script: &str) -> Result<(), Failed> {
    let mut results = sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute_many(conn);
    let mut done = 0;
    loop {
        let next = poll_fn(|cx| results.as_mut().poll_next(cx)).await;
        match next.transpose() {
            Ok(Some(_)) => done += 1,
            Ok(None) => return Ok(()),
            Err(source) => return Err(Failed { line: line_of_statement(script, done), source }),
        }
    }
}

//! A step: what turns the template beneath into the next one. It reaches the database through a [`Draft`] alone, so nothing
//! here connects, or names a kind of database or a driver.

use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fingerprint::Parts;
use super::layouts::MigrationsError;
use crate::error::{Cause, Failure};
use crate::sys::BoxFuture;

/// What turns the template beneath into the next one.
pub(crate) trait Step: fmt::Debug + Send + Sync {
    /// Adds all that changes what the step makes.
    fn identity(&self, parts: &mut Parts);

    /// What is done to make it, as error messages say it.
    fn verb(&self) -> &'static str {
        "migrate"
    }

    /// For how many tests it is made once, as the user is told.
    fn once(&self) -> &'static str {
        "once per set of migrations"
    }

    /// Applies it to a database that has what is beneath.
    fn apply<'a>(&'a self, draft: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>>;
}

/// A database under construction, of whichever kind.
pub(crate) struct Draft<'d> {
    /// Where clients find it.
    pub(crate) url: String,
    /// What runs scripts in it.
    pub(crate) scripts: &'d mut dyn ScriptRunner,
    /// Makes what code of the user's gets its parameters from; its type is known to that code's caller.
    pub(crate) context: Arc<dyn Fn() -> Box<dyn Any> + Send + Sync>,
}

/// Runs scripts in a database under construction, all in one session.
pub(crate) trait ScriptRunner {
    fn dialect(&self) -> &'static Dialect;

    /// Runs a script; what it has set for its session is not set for the next.
    fn run<'a>(&'a mut self, script: Script<'a>) -> BoxFuture<'a, Result<(), ScriptError>>;
}

/// A script to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'a> {
    pub(crate) path: &'a Path,
    pub(crate) sql: &'a str,
    /// Whether all of it is one transaction.
    pub(crate) in_transaction: bool,
    pub(crate) cut: Cut,
    /// What the tool notes of it, in its transaction.
    pub(crate) note: Option<&'a str>,
}

/// How a script reaches the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As one string. PostgreSQL runs several statements of one string as one transaction.
    Whole,
    /// Statement by statement, as psql does it, whose commands and `COPY … FROM stdin` are understood.
    Statements,
}

/// How two kinds of database write what ptest writes itself.
pub(crate) struct Dialect {
    /// A point in time.
    pub(crate) timestamp: &'static str,
    /// The present, as a default of such a column.
    pub(crate) now: &'static str,
    /// The present as text, as RFC 3339 has it.
    pub(crate) now_text: &'static str,
    /// A string of bytes.
    pub(crate) bytes: &'static str,
    /// The key of a table that counts its rows.
    pub(crate) counter: &'static str,
    /// A literal of bytes, of their hexadecimal digits.
    pub(crate) hex: fn(&str) -> String,
    /// A literal of text.
    pub(crate) text: fn(&str) -> String,
    /// Makes a schema where there is none of the name, which is SQL.
    pub(crate) create_schema: fn(&str) -> String,
}

/// Why a script failed.
#[derive(Debug)]
pub(crate) enum ScriptError {
    /// A statement failed. The line counts from 1.
    Statement { line: usize, source: Cause, help: Option<String> },
    /// The database cannot be reached, or refuses what ptest itself asks for.
    Database { source: Cause, help: Option<String> },
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("{} fails at line {line}\n{line:>5} | {text}", path.display())]
    Script { path: PathBuf, line: usize, text: String, source: Cause, help: Option<String> },
    #[error("the migrations of {tool} cannot be applied")]
    Migrator { tool: String, source: Cause },
    #[error("the setup function `{path}` failed")]
    Setup { path: &'static str, source: Cause },
    #[error(transparent)]
    Migrations(#[from] MigrationsError),
    #[error("the database under construction cannot be used")]
    Database { source: Cause, help: Option<String> },
}

impl ScriptError {
    /// Where in which file it was.
    pub(crate) fn at(self, path: &Path, sql: &str) -> StepError {
        match self {
            ScriptError::Statement { line, source, help } => {
                let text = sql.lines().nth(line - 1).unwrap_or_default().trim_end().to_owned();
                StepError::Script { path: path.to_owned(), line, text, source, help }
            }
            ScriptError::Database { source, help } => StepError::Database { source, help },
        }
    }
}

impl Failure for StepError {
    fn help(&self) -> Option<String> {
        match self {
            StepError::Script { help, .. } | StepError::Database { help, .. } => help.clone(),
            StepError::Migrations(error) => error.help(),
            StepError::Migrator { .. } | StepError::Setup { .. } => None,
        }
    }
}

/// Nothing at all: an empty database.
#[derive(Debug)]
pub(super) struct Empty;

impl Step for Empty {
    fn identity(&self, parts: &mut Parts) {
        parts.add(b"empty");
    }

    fn apply<'a>(&'a self, _: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Scripts of the argument `seed`.
#[derive(Debug)]
pub(super) struct Seed(pub(super) &'static [crate::spec::Script]);

impl Step for Seed {
    fn identity(&self, parts: &mut Parts) {
        parts.add(b"seed");
        self.0.iter().for_each(|script| parts.add(script.sql.as_bytes()));
    }

    fn verb(&self) -> &'static str {
        "seed"
    }

    fn once(&self) -> &'static str {
        "once per seed"
    }

    fn apply<'a>(&'a self, draft: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async move {
            for script in self.0 {
                let (path, sql) = (Path::new(script.path), script.sql);
                let run = Script { path, sql, in_transaction: false, cut: Cut::Statements, note: None };
                draft.scripts.run(run).await.map_err(|error| error.at(path, sql))?;
            }
            Ok(())
        })
    }
}

//! The runtime behind `#[ptest::db_test]`: everything between a test function and a clean database.
//!
//! Users depend on `ptest`, which re-exports what is public here. `ARCHITECTURE.md` holds the code map; read
//! `run` first, it is the life of a test on one screen.

mod audit;
mod config;
mod context;
mod database;
mod deadline;
mod drivers;
mod error;
mod kept;
mod lease;
mod migrator;
mod named;
mod param;
mod postgres;
mod reaper;
mod report;
mod run;
mod runtime;
#[allow(dead_code)]
mod sandbox;
mod server;
mod setup;
mod single;
mod socket;
#[cfg(feature = "sqlx-sqlite")]
mod sqlite;
mod template;
mod test;

pub use context::Context;
pub use error::{Error, Result};
pub use migrator::Migrator;
pub use named::Database;
pub use param::{FromContext, PgUrl, TestDatabase};
#[cfg(feature = "sqlx-sqlite")]
pub use sqlite::SqliteUrl;

/// What the code that `#[ptest::db_test]` generates calls; follows no semver.
#[doc(hidden)]
pub mod __private {
    pub use crate::audit::{Kind as Finding, Severities, Severity};
    pub use crate::context::start_body;
    pub use crate::param::{param, param_of};
    pub use crate::run::{report, run, run_blocking};
    pub use crate::setup::{Setup, call_setup, name_of};
    pub use crate::test::{Flavor, Isolation, Level, Migrations, Script, Sessions, Test};
}

/// What the fuzz targets call.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzz {
    pub use crate::sandbox::fuzz::{frames, statements};
}

/// Tells the user about a step that takes long, at once: past the runner's capture of a test's output.
fn progress(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "ptest: {text}");
}

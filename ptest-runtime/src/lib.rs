//! The runtime behind `#[ptest::db_test]`: everything between a test function and a clean database.
//!
//! Users depend on `ptest`, which re-exports what is public here. `ARCHITECTURE.md` holds the code map; read
//! `run` first, it is the life of a test on one screen.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod audit;
mod config;
mod engine;
mod error;
mod helper;
#[allow(dead_code)]
mod pg;
mod schema;
mod spec;
#[cfg(feature = "sqlx-sqlite")]
mod sqlite;
mod sys;
mod test;
mod tool;

pub use error::{Error, Result};
pub use pg::{PgUrl, TestDatabase};
pub use spec::{Database, Migrator};
#[cfg(feature = "sqlx-sqlite")]
pub use sqlite::SqliteUrl;
pub use test::context::Context;
pub use test::lease::{BlockingLease, Lease, Mark};
pub use test::param::FromContext;

/// What the code that `#[ptest::db_test]` generates calls; follows no semver.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "start-paused")]
    pub use tokio::time::pause;

    pub use crate::audit::{Kind as Finding, Severities, Severity};
    pub use crate::spec::{Flavor, Isolation, Level, Migrations, Script, Setup, TestSpec};
    pub use crate::test::context::start_body;
    pub use crate::test::param::{param, param_of};
    pub use crate::test::run::{report, run, run_blocking};
    pub use crate::test::setup::{call_setup, name_of};

    /// The builder that `flavor = "multi_thread"` takes.
    #[cfg(feature = "multi-thread")]
    pub fn multi_thread() -> tokio::runtime::Builder {
        tokio::runtime::Builder::new_multi_thread()
    }
}

/// What `cargo ptest` asks; follows no semver.
#[doc(hidden)]
pub mod __tool {
    pub use crate::tool::*;
}

/// What the fuzz targets call.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzz {
    pub use crate::pg::sandbox::fuzz::{frames, statements};
}

//! The runtime behind `#[ptest::db_test]`: everything between a test function and a clean database.
//!
//! Users depend on `ptest`, which re-exports what is public here. `ARCHITECTURE.md` holds the code map; read
//! [`run`](mod@run) first, it is the life of a test on one screen.

#[expect(dead_code, reason = "read by the server")]
mod config;
mod context;
mod drivers;
mod error;
mod param;
mod run;
#[expect(dead_code, reason = "called when a template is built")]
mod template;
mod test;

pub use context::{Context, FromContext};
pub use error::{Error, Result};

/// What the code that `#[ptest::db_test]` generates calls; follows no semver.
#[doc(hidden)]
pub mod __private {
    pub use crate::run::{run, run_blocking};
    pub use crate::test::{Fixture, Flavor, Migrations, Test};
}

//! Database tests that are isolated, rolled back and fast under any parallel runner.

pub use ptest_macros::db_test;
#[cfg(feature = "sqlx-sqlite")]
pub use ptest_runtime::SqliteUrl;
pub use ptest_runtime::{Context, Error, FromContext, Result};

#[doc(hidden)]
pub use ptest_runtime::__private;

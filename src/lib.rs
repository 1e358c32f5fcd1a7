//! Database tests that are isolated, rolled back and fast under any parallel runner.

pub use ptest_macros::db_test;
pub use ptest_runtime::{Context, Error, FromContext, PgUrl, Result, TestDatabase};

#[doc(hidden)]
pub use ptest_runtime::__private;

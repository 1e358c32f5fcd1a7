//! Database tests that are isolated, rolled back and fast under any parallel runner.

#[doc = include_str!("database.md")]
pub use ptest_macros::database;
#[doc = include_str!("db_test.md")]
pub use ptest_macros::db_test;
#[cfg(feature = "sqlx-sqlite")]
pub use ptest_runtime::SqliteUrl;
pub use ptest_runtime::{Context, Database, Error, FromContext, Migrator, PgUrl, Result, TestDatabase};

#[doc = include_str!("faq.md")]
pub mod faq {}

#[doc(hidden)]
pub use ptest_runtime::__private;

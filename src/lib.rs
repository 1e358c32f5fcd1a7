#![doc = include_str!("front.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc = include_str!("database.md")]
pub use ptest_macros::database;
#[doc = include_str!("db_test.md")]
pub use ptest_macros::db_test;
#[doc = include_str!("lease.md")]
pub use ptest_macros::lease;
#[cfg(feature = "sqlx-sqlite")]
pub use ptest_runtime::SqliteUrl;
pub use ptest_runtime::{
    BlockingLease, Context, Database, Error, FromContext, Lease, Mark, Migrator, PgUrl, Result, TestDatabase,
};

pub mod guide;

#[doc = include_str!("environment.md")]
pub mod environment {}

#[doc = include_str!("faq.md")]
pub mod faq {}

#[doc(hidden)]
pub use ptest_runtime::{__private, __tool};

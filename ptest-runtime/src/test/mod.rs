//! The life of a test: its databases are opened, its body runs, all is given back. Read [`run`] first.
//!
//! Nothing here names a kind of database: see [`engine`](crate::engine).

pub(crate) mod context;
mod deadline;
mod defaults;
pub(crate) mod lease;
pub(crate) mod param;
mod quiet;
mod report;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod setup;
#[cfg(test)]
mod tests;

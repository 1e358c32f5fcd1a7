//! PostgreSQL, all of it: the server, templates, where a test's database comes from, and the sandbox in it.

pub(crate) mod clone;
mod draft;
pub(crate) mod drivers;
mod engine;
pub(crate) mod fixture;
pub(crate) mod forward;
mod housekeeping;
pub(crate) mod inventory;
mod param;
pub(crate) mod postgres;
pub(crate) mod reaper;
mod report;
pub(crate) mod sandbox;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod single;
pub(crate) mod slot;
pub(crate) mod socket;
mod source;
pub(crate) mod template;
pub(crate) mod warm;
pub(crate) mod wire;

pub use param::{PgUrl, TestDatabase};

//! PostgreSQL, all of it: the server, templates, where a test's database comes from, and the sandbox in it.

pub(crate) mod clone;
pub(crate) mod drivers;
pub(crate) mod postgres;
pub(crate) mod reaper;
pub(crate) mod sandbox;
pub(crate) mod server;
pub(crate) mod single;
pub(crate) mod slot;
pub(crate) mod socket;
pub(crate) mod template;
pub(crate) mod wire;

//! What a database is made from: migrations, a seed, a setup, and the fingerprint of all of it.

mod apart;
mod apply;
mod cache;
mod dbmate;
pub(crate) mod fingerprint;
pub(crate) mod history;
mod layers;
mod layout;
pub(crate) mod migrations;
pub(crate) mod settings;

#[cfg(feature = "sqlx-sqlite")]
pub(crate) use apart::apart;
pub(crate) use apply::{ApplyError, migrate, run_script};
pub(crate) use layers::{Schema, Source};
#[cfg(feature = "sqlx-sqlite")]
pub(crate) use layout::Layout;

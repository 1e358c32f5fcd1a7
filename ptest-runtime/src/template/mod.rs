//! The template: the database that every slot is a clone of, named by the fingerprint of what it is made from.

mod cache;
pub(crate) mod fingerprint;
mod layout;
pub(crate) mod migrations;
pub(crate) mod settings;

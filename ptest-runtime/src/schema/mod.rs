//! What a database is made from: migrations, a seed, a setup, and the fingerprint of all of it.
//!
//! Nothing here connects to a database, or names a kind of it: a step is applied to a draft, which its engine makes.
//!
//! ```text
//! layers       the schema of a test: steps, each on top of the one beneath
//! step         a step, the draft that it is applied to, and what runs scripts in that
//! code         the steps that are code of the user's
//! migrations   the step of a folder: found, read, applied, noted as its tool notes it
//! layouts      … one file for each migration tool: whose a folder is, and how that tool reads it
//! settings     … sqlx.toml, and diesel's metadata.toml
//! fingerprint  the name of what a template is made from
//! cache        … of a folder whose files have not changed
//! ```

mod cache;
mod code;
mod fingerprint;
mod layers;
mod layouts;
mod migrations;
mod settings;
mod step;

pub(crate) use layers::Schema;
#[cfg(test)]
pub(crate) use layouts::MigrationsError;
pub(crate) use step::{Cut, Dialect, Draft, Script, ScriptError, ScriptRunner, StepError};

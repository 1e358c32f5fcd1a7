//! Scripts: run in a database under construction or in a test's, in one session, and the line at which one fails.
//!
//! ```text
//! run    a script, as its tool or psql would run it
//! psql   … cut into statements, copied rows, and commands of psql
//! help   what can be done about what a server says
//! ```

mod help;
mod psql;
mod run;

#[cfg(test)]
pub(crate) use psql::Refused;
pub(crate) use psql::has_commands;
pub(crate) use run::{Runner, run};

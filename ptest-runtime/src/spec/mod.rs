//! What the macro writes: constant data, read by everything else.

mod database;
mod schema;
mod test;

pub use database::Database;
pub(crate) use schema::SchemaSpec;
pub use schema::{Migrations, Script};
pub use test::{Flavor, Isolation, Level, TestSpec};

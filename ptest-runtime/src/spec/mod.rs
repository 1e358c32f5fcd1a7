//! What the macro writes: constant data, read by everything else.

mod database;
mod migrator;
mod schema;
mod setup;
mod test;

pub use database::Database;
pub(crate) use migrator::AnyMigrator;
pub use migrator::Migrator;
pub(crate) use schema::SchemaSpec;
pub use schema::{Migrations, Script};
pub use setup::Setup;
pub use test::{Flavor, Isolation, Level, TestSpec};

//! The migrations, in their order.

mod m20260101_000001_books;
mod m20260102_000001_loans;

use sea_orm_migration::prelude::*;

/// Brings a database to the schema of this version.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20260101_000001_books::Migration), Box::new(m20260102_000001_loans::Migration)]
    }
}

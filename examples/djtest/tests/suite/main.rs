//! The seed's suite: 24 tests a module, nine modules, two databases; every test inserts the unique name `admin`.
//!
//! `visits` is what the tests do, `pg` and `sqlite` how they ask for a database, `matrix` writes them out.

mod browser;
mod site;
mod visits;
#[macro_use]
mod matrix;
mod pg;
mod sqlite;

//! What the macro writes: constant data, read by everything else.

mod test;

pub use test::{Flavor, Isolation, Level, Migrations, Script, Test};

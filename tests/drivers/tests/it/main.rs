//! A test per parameter type of the drivers, under both isolations. Each inserts the same row under a unique index and
//! counts one, so that none may see what another has left.

mod bb8;
mod diesel;
mod diesel_async;
mod postgres;
mod sea_orm;
mod sqlx_08;

/// A test for either isolation.
macro_rules! both {
    (async fn $name:ident($($parameters:tt)*) $body:block) => {
        mod $name {
            use super::*;

            #[ptest::db_test]
            async fn in_a_transaction($($parameters)*) $body

            #[ptest::db_test(isolation = "database")]
            async fn in_a_database($($parameters)*) $body
        }
    };
    (fn $name:ident($($parameters:tt)*) $body:block) => {
        mod $name {
            use super::*;

            #[ptest::db_test]
            fn in_a_transaction($($parameters)*) $body

            #[ptest::db_test(isolation = "database")]
            fn in_a_database($($parameters)*) $body
        }
    };
}
pub(crate) use both;

const INSERT: &str = "INSERT INTO users (name) VALUES ('ada')";
const COUNT: &str = "SELECT count(*) FROM users";

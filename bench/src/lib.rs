//! The suite that every contender runs: 216 tests that insert the same unique name and count.

pub mod wire;

use sqlx::PgConnection;

/// What each test does: it starts from an empty table, and leaves a row.
///
/// # Errors
///
/// Whatever the database reports.
pub async fn insert_and_count(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO users (name) VALUES ('admin')").execute(&mut *connection).await?;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(connection).await?;
    assert_eq!(count, 1);
    Ok(())
}

/// Expands a macro for a module of 24 tests, nine times: 216 tests.
#[macro_export]
macro_rules! suite {
    ($test:ident) => {
        $crate::suite!(@ $test m1 m2 m3 m4 m5 m6 m7 m8 m9);
    };
    (@ $test:ident $($module:ident)*) => {
        $(mod $module {
            use super::*;
            $test!(a1 a2 a3 a4 a5 a6 b1 b2 b3 b4 b5 b6 c1 c2 c3 c4 c5 c6 d1 d2 d3 d4 d5 d6);
        })*
    };
}

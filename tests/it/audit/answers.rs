//! Tests that pass on an answer that only ptest gives.

use sqlx::{Executor, PgPool};

/// The application has forgotten its lock: on a server the update succeeds.
async fn is_locked(pool: PgPool) {
    pool.execute("create table users (name text)").await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    tx.execute("select * from users").await.unwrap();
    let update = pool.execute("update users set name = 'x'").await;
    assert!(update.is_err(), "the row is locked");
    tx.commit().await.unwrap();
}

/// Exactly one of two may fail.
async fn one_of_two(pool: PgPool) {
    let (mut a, b) = (pool.begin().await.unwrap(), pool.begin().await);
    assert!(b.is_err());
    a.execute("select 1").await.unwrap();
    a.commit().await.unwrap();
}

async fn vacuums(pool: PgPool) {
    pool.execute("vacuum").await.unwrap_err();
    pool.execute("vacuum").await.unwrap_err();
}

macro_rules! tests { ($($name:ident: $body:ident ($($arguments:tt)*);)*) => { $(
    #[ptest::db_test(migrations = false, turn_timeout = "100ms" $($arguments)*)]
    #[ignore = "run by another test"]
    async fn $name(pool: PgPool) { $body(pool).await }
)* } }

tests! {
    swallows_the_error: is_locked ();
    swallows_it_at_begin: one_of_two ();
    expects_the_error: is_locked (, audit(turn = "off"));
    vacuums_nothing: vacuums ();
    expects_that_it_vacuums_nothing: vacuums (, audit(sandbox = "off"));
    prepares: prepares_a_transaction ();
    adds_to_an_enum: new_value_of_an_enum ();
    vacuums_in_its_transaction: vacuums_in_a_transaction ();
}

async fn prepares_a_transaction(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    conn.execute("begin; prepare transaction 'x'").await.unwrap_err();
}

async fn new_value_of_an_enum(pool: PgPool) {
    pool.execute("create type mood as enum ('sad')").await.unwrap();
    // In one statement with its type the value may be used, so another must come between.
    pool.execute("alter type mood add value 'ok'").await.unwrap();
    let _ = pool.execute("select 'ok'::mood").await;
}

/// A server refuses it in the same words.
async fn vacuums_in_a_transaction(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    tx.execute("vacuum").await.unwrap_err();
}

#[ptest::db_test(migrations = false, turn_timeout = "100ms")]
#[ignore = "run by another test"]
#[should_panic(expected = "PT001")]
async fn expects_a_panic(pool: PgPool) {
    let _first = pool.begin().await.unwrap();
    if let Err(error) = pool.execute("select 1").await {
        panic!("{error:?}");
    }
}

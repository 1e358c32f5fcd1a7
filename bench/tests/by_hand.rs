//! A connection and a transaction by hand, in one database that the runner has migrated. All tests insert the same
//! unique name, so those that run at once wait for each other.

use sqlx::{Connection, PgConnection};

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() -> sqlx::Result<()> {
            let url = std::env::var("BENCH_BY_HAND_URL").expect("the runner sets BENCH_BY_HAND_URL");
            let mut connection = PgConnection::connect(&url).await?;
            let mut transaction = connection.begin().await?;
            bench::insert_and_count(&mut transaction).await?;
            transaction.rollback().await
        })*
    };
}

bench::suite!(tests);

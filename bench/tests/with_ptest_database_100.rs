//! `#[ptest::db_test(isolation = "database")]`, a hundred migrations.

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[ptest::db_test(isolation = "database", migrations = "../target/bench/migrations_100")]
        async fn $name(pool: sqlx::PgPool) -> sqlx::Result<()> {
            bench::insert_and_count(&mut *pool.acquire().await?).await
        })*
    };
}

bench::suite!(tests);

//! `#[ptest::db_test(isolation = "database")]`, ten migrations.

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[ptest::db_test(isolation = "database")]
        async fn $name(pool: sqlx::PgPool) -> sqlx::Result<()> {
            bench::insert_and_count(&mut *pool.acquire().await?).await
        })*
    };
}

bench::suite!(tests);

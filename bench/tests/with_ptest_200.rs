//! `#[ptest::db_test]`, two hundred migrations.

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[ptest::db_test(migrations = "../target/bench/migrations_200")]
        async fn $name(pool: sqlx::PgPool) -> sqlx::Result<()> {
            bench::insert_and_count(&mut *pool.acquire().await?).await
        })*
    };
}

bench::suite!(tests);

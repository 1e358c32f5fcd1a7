//! `#[sqlx::test]`, a hundred migrations. Needs `DATABASE_URL`, which the runner sets.

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[sqlx::test(migrations = "../target/bench/migrations_100")]
        async fn $name(pool: sqlx::PgPool) -> sqlx::Result<()> {
            bench::insert_and_count(&mut *pool.acquire().await?).await
        })*
    };
}

bench::suite!(tests);

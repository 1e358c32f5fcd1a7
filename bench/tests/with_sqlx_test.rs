//! `#[sqlx::test]`, ten migrations. Needs `DATABASE_URL`, which the runner sets.

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[sqlx::test]
        async fn $name(pool: sqlx::PgPool) -> sqlx::Result<()> {
            bench::insert_and_count(&mut *pool.acquire().await?).await
        })*
    };
}

bench::suite!(tests);

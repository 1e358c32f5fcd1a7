mod sqlx_08 {
    pub struct PgPool;
}

#[ptest::db_test]
async fn t(pool: sqlx_08::PgPool) {
    let _ = pool;
}


#[ptest::db_test]
async fn stores_a_post(#[db] _pool: sqlx::PgPool) {}

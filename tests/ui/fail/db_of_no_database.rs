static AUDIT: &str = "audit";

#[ptest::db_test]
async fn stores_a_post(#[db(AUDIT)] _pool: sqlx::PgPool) {}

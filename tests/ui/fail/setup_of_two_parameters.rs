async fn make(_: sqlx::PgPool, _: ptest::PgUrl) {}

#[ptest::db_test(setup = make)]
async fn test() {}

async fn make(_: sqlx::PgPool) -> i32 {
    1
}

#[ptest::db_test(setup = make)]
async fn test() {}

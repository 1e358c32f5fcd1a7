#[ptest::db_test(fixtures(path = "data", "users"))]
async fn stores_a_post() {}

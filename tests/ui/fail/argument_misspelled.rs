#[ptest::db_test(fixture("users"))]
async fn stores_a_post() {}

#[ptest::db_test(sessions = "two")]
async fn stores_a_post() {}

#[ptest::db_test(fixtures = "users")]
async fn stores_a_post() {}

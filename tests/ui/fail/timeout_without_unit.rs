#[ptest::db_test(timeout = "5")]
async fn stores_a_post() {}

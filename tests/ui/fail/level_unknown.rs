#[ptest::db_test(level = "snapshot")]
async fn stores_a_post() {}

#[ptest::db_test(timeout = "0.0s")]
async fn stores_a_post() {}

#[ptest::db_test(timeout = "5s", timeout = "6s")]
async fn stores_a_post() {}

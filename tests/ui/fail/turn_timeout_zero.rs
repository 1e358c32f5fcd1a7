#[ptest::db_test(turn_timeout = "0s")]
async fn stores_a_post() {}

#[ptest::db_test(turn_timeout = "5s", isolation = "database")]
async fn stores_a_post() {}

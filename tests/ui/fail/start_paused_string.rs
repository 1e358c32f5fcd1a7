#[ptest::db_test(start_paused = "true")]
async fn stores_a_post() {}

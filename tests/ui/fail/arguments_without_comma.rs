#[ptest::db_test(timeout = "5s" start_paused = true)]
async fn stores_a_post() {}

#[ptest::db_test(isolation = "database", start_paused = true)]
async fn stores_a_post() {}

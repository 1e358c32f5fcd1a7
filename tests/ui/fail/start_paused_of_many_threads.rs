#[ptest::db_test(flavor = "multi_thread", start_paused = true)]
async fn stores_a_post() {}

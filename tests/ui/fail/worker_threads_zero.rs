#[ptest::db_test(flavor = "multi_thread", worker_threads = 0)]
async fn stores_a_post() {}

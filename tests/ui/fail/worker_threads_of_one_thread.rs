#[ptest::db_test(worker_threads = 2)]
async fn stores_a_post() {}

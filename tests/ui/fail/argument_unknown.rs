#[ptest::db_test(retries = 3)]
async fn stores_a_post() {}

#[ptest::db_test(timeout)]
async fn stores_a_post() {}

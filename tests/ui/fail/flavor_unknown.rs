#[ptest::db_test(flavor = "threaded")]
async fn stores_a_post() {}

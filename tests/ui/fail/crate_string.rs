#[ptest::db_test(crate = "::db")]
async fn stores_a_post() {}

#[ptest::db_test(isolation = "table")]
async fn stores_a_post() {}

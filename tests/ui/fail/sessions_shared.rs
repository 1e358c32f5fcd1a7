#[ptest::db_test(sessions = "shared")]
async fn stores_a_post() {}

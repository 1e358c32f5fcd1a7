#[ptest::db_test(sessions = "shared", isolation = "database")]
async fn stores_a_post() {}

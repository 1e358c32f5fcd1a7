#[ptest::db_test(audit(leaked_session = "warn"))]
async fn stores_a_post() {}

#[ptest::db_test(audit(advisory_lock = "off", advisory_lock = "error"))]
async fn stores_a_post() {}

#[ptest::db_test(audit(escape = "off"))]
async fn stores_a_post() {}

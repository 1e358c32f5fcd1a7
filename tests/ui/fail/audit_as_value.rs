#[ptest::db_test(audit = "off")]
async fn stores_a_post() {}

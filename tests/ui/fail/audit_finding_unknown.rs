#[ptest::db_test(audit(open_transactions = "error"))]
async fn stores_a_post() {}

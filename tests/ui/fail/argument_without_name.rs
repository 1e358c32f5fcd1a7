#[ptest::db_test("5s")]
async fn stores_a_post() {}

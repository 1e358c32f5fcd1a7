#[ptest::db_test(fixtures("users", 2))]
async fn stores_a_post() {}

#[ptest::db_test(crate = ::nowhere)]
async fn stores_a_post() {}

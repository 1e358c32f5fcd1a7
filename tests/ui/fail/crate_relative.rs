#[ptest::db_test(crate = db::ptest)]
async fn stores_a_post() {}

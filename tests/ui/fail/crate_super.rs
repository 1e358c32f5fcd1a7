#[ptest::db_test(crate = super::ptest)]
async fn stores_a_post() {}

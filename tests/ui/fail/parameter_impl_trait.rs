#[ptest::db_test]
async fn stores_a_post(_: impl Copy) {}

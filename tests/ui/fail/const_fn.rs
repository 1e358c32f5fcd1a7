#[ptest::db_test]
const fn stores_a_post() {}

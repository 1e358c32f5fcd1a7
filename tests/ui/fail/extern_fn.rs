#[ptest::db_test]
extern "C" fn stores_a_post() {}

#[ptest::db_test]
async unsafe fn stores_a_post() {}

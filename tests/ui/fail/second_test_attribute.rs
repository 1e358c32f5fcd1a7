#[ptest::db_test]
#[test]
fn stores_a_post() {}

#[ptest::db_test(setup(make, "1"))]
async fn test() {}

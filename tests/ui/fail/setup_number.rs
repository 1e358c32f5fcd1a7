#[ptest::db_test(setup = 1)]
async fn test() {}

#[ptest::db_test(migrations = 1)]
async fn stores_a_post() {}

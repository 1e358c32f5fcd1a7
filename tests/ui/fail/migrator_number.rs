#[ptest::db_test(migrator = 1)]
async fn stores_a_post() {}

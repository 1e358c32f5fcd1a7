#[ptest::db_test(migrations = "db", migrator = MIGRATOR)]
async fn stores_a_post() {}

#[ptest::db_test(migrations = true)]
async fn stores_a_post() {}

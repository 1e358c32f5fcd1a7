#[ptest::db_test(timeout = 5, retries = 3, migrations = true)]
async fn stores_a_post() {}

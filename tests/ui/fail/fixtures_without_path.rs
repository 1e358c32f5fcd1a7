#[ptest::db_test(fixtures(scripts("users")))]
async fn stores_a_post() {}

#[ptest::db_test(seed("users", "./posts.sql"))]
async fn stores_a_post() {}

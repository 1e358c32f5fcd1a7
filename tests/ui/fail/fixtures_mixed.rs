#[ptest::db_test(fixtures("users", "./posts.sql"))]
async fn stores_a_post() {}

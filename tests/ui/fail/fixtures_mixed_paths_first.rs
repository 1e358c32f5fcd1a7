#[ptest::db_test(fixtures("./users.sql", "posts"))]
async fn stores_a_post() {}

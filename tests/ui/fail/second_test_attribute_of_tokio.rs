#[ptest::db_test]
#[tokio::test(flavor = "multi_thread")]
async fn stores_a_post() {}

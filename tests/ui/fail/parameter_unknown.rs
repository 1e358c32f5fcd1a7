#[ptest::db_test]
async fn stores_a_post(id: u32) {
    let _ = id;
}

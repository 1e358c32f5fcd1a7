#[ptest::db_test]
fn stores_a_post(id: &mut u32) {
    *id += 1;
}

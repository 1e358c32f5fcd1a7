#[ptest::db_test]
async fn stores_a_post()
where
    u32: Copy,
{
}

struct Posts;

impl Posts {
    #[ptest::db_test]
    async fn stores_a_post(&self) {}
}

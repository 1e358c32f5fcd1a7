struct Pool;

impl ptest::FromContext for Pool {
    async fn from_context(_: &mut ptest::Context) -> ptest::Result<Self> {
        Ok(Pool)
    }
}

#[ptest::db_test]
async fn stores_a_post(_: Pool) {
    "7".parse::<u32>()?;
}

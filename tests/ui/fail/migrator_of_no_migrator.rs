static MIGRATOR: &str = "migrations";

#[ptest::db_test(migrator = MIGRATOR)]
async fn test() {}

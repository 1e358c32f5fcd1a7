//! What the suite runs on; `measure` asks for it.

use sqlx::{PgConnection, SqliteConnection};

#[ptest::db_test(migrations = false)]
#[ignore = "only prints"]
async fn postgresql(db: &mut PgConnection) -> anyhow::Result<()> {
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(db).await?;
    println!("version: PostgreSQL {version}");
    Ok(())
}

#[ptest::db_test(migrations = false)]
#[ignore = "only prints"]
async fn sqlite(db: &mut SqliteConnection) -> anyhow::Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(db).await?;
    println!("version: SQLite {version}");
    Ok(())
}

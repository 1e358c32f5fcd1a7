//! What a test does is gone when it is over, however it ended, and no other test sees it meanwhile.

mod after;
mod leaks;
mod session;

use sqlx::{PgPool, SqliteConnection, SqlitePool};

/// Tests that would all fail but one, if they shared anything.
macro_rules! at_once {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[ptest::db_test(migrations = "tests/it/migrations")]
            async fn postgres(pool: PgPool) -> sqlx::Result<()> {
                super::the_only_admin(&pool).await
            }

            #[ptest::db_test(migrations = "tests/it/migrations")]
            async fn sqlite(pool: SqlitePool) -> sqlx::Result<()> {
                let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(&pool).await?;
                assert_eq!(found, 0);
                sqlx::query("insert into account values ('admin', 0)").execute(&pool).await?;
                Ok(())
            }

            #[ptest::db_test(migrations = "tests/it/migrations")]
            async fn sqlite_connection(conn: &mut SqliteConnection) -> sqlx::Result<()> {
                let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(&mut *conn).await?;
                assert_eq!(found, 0);
                sqlx::query("insert into account values ('admin', 0)").execute(conn).await?;
                Ok(())
            }
        }
    )*};
}

at_once!(one two three four five six seven eight nine ten eleven twelve);

async fn the_only_admin(pool: &PgPool) -> sqlx::Result<()> {
    let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(pool).await?;
    assert_eq!(found, 0);
    sqlx::query("insert into account values ('admin')").execute(pool).await?;
    let mut tx = pool.begin().await?;
    sqlx::query("update account set logins = logins + 1").execute(&mut *tx).await?;
    tx.commit().await?;
    // Not in any migration: it is the test's alone as well.
    sqlx::query("create table visit (id int primary key)").execute(pool).await?;
    let logins: Vec<i32> = sqlx::query_scalar("select logins from account").fetch_all(pool).await?;
    assert_eq!(logins, [1]);
    Ok(())
}

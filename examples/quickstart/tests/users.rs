//! Every test has a database of its own, with the schema of `migrations/`, and leaves nothing in it.

use quickstart::{RegisterError, User, find, register, sqlite};
use sqlx::{PgConnection, PgPool, SqlitePool};

#[ptest::db_test]
async fn registers_a_user(pool: PgPool) -> anyhow::Result<()> {
    let ada = register(&pool, "ada").await?;

    assert_eq!(ada, User { name: "ada".into(), logins: 0 });
    assert_eq!(find(&pool, "ada").await?, Some(ada));
    Ok(())
}

#[ptest::db_test]
async fn refuses_a_name_that_is_taken(pool: PgPool) -> anyhow::Result<()> {
    register(&pool, "ada").await?;

    let again = register(&pool, "ada").await;

    assert!(matches!(again, Err(RegisterError::NameTaken(name)) if name == "ada"));
    Ok(())
}

#[ptest::db_test]
async fn forgets_what_is_rolled_back(pool: PgPool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    register(&mut *tx, "ada").await?;
    tx.rollback().await?;

    assert_eq!(find(&pool, "ada").await?, None);
    Ok(())
}

#[ptest::db_test]
async fn works_on_a_single_connection(db: &mut PgConnection) -> anyhow::Result<()> {
    register(&mut *db, "ada").await?;

    assert!(find(&mut *db, "ada").await?.is_some());
    Ok(())
}

#[ptest::db_test]
async fn works_on_sqlite(pool: SqlitePool) -> anyhow::Result<()> {
    sqlite::register(&pool, "ada").await?;

    let again = sqlite::register(&pool, "ada").await;

    assert!(matches!(again, Err(RegisterError::NameTaken(_))));
    Ok(())
}

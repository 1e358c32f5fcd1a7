//! The parameters of sqlx on PostgreSQL.

use sqlx::{PgConnection, PgPool, Row};

#[ptest::db_test]
async fn a_pool_commits_and_reads(pool: PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("create table t (id int primary key)").execute(&pool).await?;
    let mut tx = pool.begin().await?;
    sqlx::query("insert into t values (1)").execute(&mut *tx).await?;
    tx.commit().await?;
    let mut tx = pool.begin().await?;
    sqlx::query("insert into t values (2)").execute(&mut *tx).await?;
    tx.rollback().await?;
    assert!(sqlx::query("insert into t values (1)").execute(&pool).await.is_err());
    let n: i64 = sqlx::query("select count(*) from t").fetch_one(&pool).await?.get(0);
    assert_eq!(n, 1);
    Ok(())
}

#[ptest::db_test]
async fn a_connection(conn: &mut PgConnection) {
    sqlx::query("create table t (id int primary key)").execute(&mut *conn).await.unwrap();
}

#[ptest::db_test]
async fn another_connection(conn: &mut PgConnection) {
    sqlx::query("create table t (id int primary key)").execute(&mut *conn).await.unwrap();
}

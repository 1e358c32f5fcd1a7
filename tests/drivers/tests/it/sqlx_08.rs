//! sqlx 0.8, beside 0.9 in the same test.

use std::borrow::Cow;
use std::path::Path;

use sqlx08::migrate::{Migration, MigrationType, Migrator};
use sqlx08::pool::PoolConnection;
use sqlx08::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx08::{ConnectOptions, Executor, PgConnection, PgPool, Postgres, Transaction};

use crate::{COUNT, INSERT, both};

async fn count(db: impl Executor<'_, Database = Postgres>) -> i64 {
    sqlx08::query_scalar(COUNT).fetch_one(db).await.unwrap()
}

both! {
    async fn pool(pool: PgPool) {
        pool.execute(INSERT).await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        assert_eq!(count(&mut *transaction).await, 1);
        transaction.execute("DELETE FROM users").await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(count(&pool).await, 1);
    }
}

both! {
    async fn pool_connection(mut connection: PoolConnection<Postgres>) {
        connection.execute(INSERT).await.unwrap();
        assert_eq!(count(&mut *connection).await, 1);
    }
}

both! {
    async fn connection(mut connection: PgConnection) {
        connection.execute(INSERT).await.unwrap();
        assert_eq!(count(&mut connection).await, 1);
    }
}

both! {
    async fn connection_by_reference(connection: &mut PgConnection) {
        connection.execute(INSERT).await.unwrap();
        assert_eq!(count(connection).await, 1);
    }
}

both! {
    async fn transaction(mut transaction: Transaction<'static, Postgres>) {
        transaction.execute(INSERT).await.unwrap();
        assert_eq!(count(&mut *transaction).await, 1);
        transaction.commit().await.unwrap();
    }
}

both! {
    async fn options(pool: PgPoolOptions, connect: PgConnectOptions) {
        let mut connection = connect.connect().await.unwrap();
        connection.execute(INSERT).await.unwrap();
        assert_eq!(count(&pool.connect_with(connect).await.unwrap()).await, 1);
    }
}

both! {
    async fn both_majors_share_the_database(new: sqlx::PgPool, old: PgPool) {
        sqlx::query(INSERT).execute(&new).await.unwrap();
        assert_eq!(count(&old).await, 1);
        let again = old.execute(INSERT).await.unwrap_err();
        assert!(again.as_database_error().unwrap().is_unique_violation());
        let seen: i64 = sqlx::query_scalar(COUNT).fetch_one(&new).await.unwrap();
        assert_eq!(seen, 1);
    }
}

/// As `sqlx08::migrate!` would write it, which here finds the other sqlx.
static MIGRATOR: Migrator = Migrator {
    migrations: Cow::Borrowed(
        const {
            &[Migration {
                version: 7,
                description: Cow::Borrowed("guests"),
                migration_type: MigrationType::Simple,
                sql: Cow::Borrowed("CREATE TABLE guests (name text); INSERT INTO guests VALUES ('ada')"),
                checksum: Cow::Borrowed(&[7]),
                no_tx: false,
            }]
        },
    ),
    ..Migrator::DEFAULT
};

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_migrator_of_the_users(pool: PgPool) {
    let applied: i64 = sqlx08::query_scalar("SELECT version FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
    assert_eq!(applied, 7);
    MIGRATOR.run(&pool).await.unwrap();
    let guests: i64 = sqlx08::query_scalar("SELECT count(*) FROM guests").fetch_one(&pool).await.unwrap();
    assert_eq!(guests, 1);
}

#[ptest::db_test]
async fn its_own_migrations_find_nothing_to_do(pool: PgPool) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    Migrator::new(Path::new(folder)).await.unwrap().run(&pool).await.unwrap();
    assert_eq!(count(&pool).await, 0);
}

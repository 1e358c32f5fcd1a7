//! The parameters, alone and side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, Executor, Sqlite};
use tokio::time::Instant;

use super::super::SqliteTest;
use super::{Project, USERS, insert, names};
use crate::error::Failure;
use crate::spec::{Migrations, Script, TestSpec};
use crate::sqlite::{SqliteError, SqliteUrl};
use crate::test::context::Context;
use crate::test::param::FromContext;
use crate::test::run::run;

static EMPTY: TestSpec = TestSpec::new("tests::empty", env!("CARGO_MANIFEST_DIR")).migrations(Migrations::None);

/// A whole test, from its parameters to its end.
fn test_with<P: FromContext>(body: impl AsyncFn(P) + 'static) {
    run(&EMPTY, |cx: &mut Context| {
        Box::pin(async move {
            body(P::from_context(cx).await?).await;
            Ok(ExitCode::SUCCESS)
        })
    });
}

#[test]
fn every_parameter_can_be_asked_for() {
    for _ in 0..3 {
        test_with(async |mut conn: SqliteConnection| {
            conn.execute("create table t (x)").await.unwrap();
        });
        test_with(async |mut conn: PoolConnection<Sqlite>| {
            conn.execute("create table t (x)").await.unwrap();
        });
        test_with(async |pool: SqlitePool| {
            pool.execute("create table t (x)").await.unwrap();
        });
        test_with(async |url: SqliteUrl| {
            let mut conn = SqliteConnection::connect(url.as_str()).await.unwrap();
            conn.execute("create table t (x)").await.unwrap();
        });
        run(&EMPTY, |cx| {
            Box::pin(async move {
                let pool = SqlitePoolOptions::from_context(cx).await?;
                let options = SqliteConnectOptions::from_context(cx).await?;
                pool.connect_with(options).await.unwrap().execute("create table t (x)").await.unwrap();
                Ok(ExitCode::SUCCESS)
            })
        });
    }
}

#[test]
fn a_test_that_ended_the_transaction_fails_with_the_report() {
    let payload = catch_unwind(|| {
        test_with(async |mut conn: SqliteConnection| {
            conn.execute("create table t (x); commit").await.unwrap();
        })
    })
    .unwrap_err();
    let report = payload.downcast_ref::<String>().unwrap();
    assert!(report.starts_with("the test committed ptest's transaction"), "{report}");
}

#[test]
fn a_tests_own_panic_goes_through() {
    let payload = catch_unwind(AssertUnwindSafe(|| {
        test_with(async |mut conn: SqliteConnection| {
            conn.execute("create table t (x); commit").await.unwrap();
            panic!("the test's own");
        })
    }))
    .unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"the test's own"));
}

#[test]
fn a_connection_of_a_pool_is_in_the_transaction() {
    let project = Project::new(&[USERS]);
    project.pass(async |test| {
        let mut conn = test.pool_connection().await.unwrap();
        insert(&mut *conn, "of the test").await.unwrap();
        let mut transaction = conn.begin().await.unwrap();
        insert(&mut *transaction, "nested").await.unwrap();
        transaction.commit().await.unwrap();
    });
    project.assert_clean();
    let (_, told) = project.run(async |test| {
        test.pool_connection().await.unwrap().execute("commit; create table t (x)").await.unwrap();
    });
    assert!(matches!(told, Err(SqliteError::Ended { how: "committed" })), "{told:?}");
    project.assert_clean();
}

#[test]
fn several_connections_of_a_pool_commit_at_once() {
    let project = Project::new(&[USERS]);
    for _ in 0..2 {
        let count: i64 = project.pass(async |test| {
            let pool = test.pool().await.unwrap();
            let tasks: Vec<_> = (0..8)
                .map(|task| {
                    let pool = pool.clone();
                    tokio::spawn(async move {
                        for i in 0..10 {
                            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                            insert(&mut *transaction, &format!("{task} {i}")).await.unwrap();
                            transaction.commit().await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert!(pool.size() > 1);
            sqlx::query_scalar("select count(*) from users").fetch_one(&pool).await.unwrap()
        });
        assert_eq!(count, 80);
        project.assert_clean();
    }
}

#[test]
fn a_pool_writes_while_it_reads_and_can_do_what_a_transaction_cannot() {
    let project = Project::new(&[USERS]);
    project.pass(async |test| {
        let pool = test.pool().await.unwrap();
        let mut reader = pool.begin().await.unwrap();
        assert_eq!(names(&mut reader).await, [] as [&str; 0]);
        insert(&pool, "while read").await.unwrap();
        assert_eq!(names(&mut reader).await, [] as [&str; 0]);
        reader.commit().await.unwrap();
        pool.execute("vacuum").await.unwrap();
        let foreign_keys: bool = sqlx::query_scalar("pragma foreign_keys").fetch_one(&pool).await.unwrap();
        assert!(foreign_keys);
    });
    project.assert_clean();
}

#[test]
fn the_options_can_be_changed() {
    let project = Project::new(&[USERS, ("2_posts.sql", "create table posts (author integer references users (id))")]);
    project.pass(async |test| {
        let options = test.connect_options("`SqliteConnectOptions`").await.unwrap();
        let options = options.foreign_keys(false).journal_mode(SqliteJournalMode::Delete);
        let pool = SqliteTest::pool_options().max_connections(2).connect_with(options).await.unwrap();
        pool.execute("insert into posts values (7)").await.unwrap();
        let mode: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&pool).await.unwrap();
        assert_eq!(mode, "delete");
    });
    project.assert_clean();
}

#[test]
fn a_pool_that_outlives_the_test_does_not_reach_the_next() {
    let project = Project::new(&[USERS]);
    let pool = project.pass(async |test| test.pool().await.unwrap());
    let conn = project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        insert(&mut conn, "leaked").await.unwrap();
        conn
    });
    project.pass(async |test| {
        insert(&test.pool().await.unwrap(), "of the next test").await.unwrap();
        assert_eq!(names(&mut test.connection().await.unwrap()).await, ["of the next test"]);
    });
    drop(conn);
    drop(pool);
    project.assert_clean();
}

#[test]
fn parameters_that_commit_share_the_copy() {
    let project = Project::new(&[USERS]);
    project.pass(async |test| {
        let pool = test.pool().await.unwrap();
        let url = test.url().await.unwrap();
        let mut conn = test.connection().await.unwrap();
        let mut pooled = test.pool_connection().await.unwrap();
        let mut other = SqliteConnection::connect(url.as_str()).await.unwrap();
        insert(&pool, "a").await.unwrap();
        insert(&mut conn, "b").await.unwrap();
        insert(&mut *pooled, "c").await.unwrap();
        insert(&mut other, "d").await.unwrap();
        assert_eq!(names(&mut pool.acquire().await.unwrap()).await, ["a", "b", "c", "d"]);
        assert!(url.path().is_file());
        assert_eq!(SqliteConnectOptions::from_str(url.as_str()).unwrap().get_filename(), url.path());
        // No wrapping transaction: the connection can do what a transaction cannot hold.
        conn.begin_with("BEGIN IMMEDIATE").await.unwrap().rollback().await.unwrap();
    });
    project.assert_clean();
}

#[test]
fn nothing_can_follow_a_connection() {
    let project = Project::new(&[USERS]);
    project.pass(async |test| {
        let _conn = test.connection().await.unwrap();
        for error in [
            test.connection().await.unwrap_err(),
            test.pool_connection().await.unwrap_err(),
            test.pool().await.unwrap_err(),
            test.url().await.unwrap_err(),
        ] {
            assert!(error.to_string().ends_with("after a SQLite connection"), "{error}");
            assert!(error.help().unwrap().contains("Put a `SqlitePool` parameter before it"));
        }
    });
    project.assert_clean();
}

#[test]
fn fixtures_run_in_the_transaction_or_on_the_copy() {
    let project = Project::new(&[USERS]).fixtures(&[
        Script {
            path: "fixtures/users.sql",
            sql: "insert into users (name) values ('a');\ninsert into users (name) values ('b')",
        },
        Script { path: "fixtures/more.sql", sql: "-- one more\ninsert into users (name) values ('c');" },
    ]);
    for _ in 0..2 {
        project.pass(async |test| {
            assert_eq!(names(&mut test.connection().await.unwrap()).await, ["a", "b", "c"]);
        });
        project.pass(async |test| {
            let pool = test.pool().await.unwrap();
            test.url().await.unwrap();
            assert_eq!(names(&mut pool.acquire().await.unwrap()).await, ["a", "b", "c"]);
        });
    }
}

#[test]
fn a_failed_fixture_is_named_with_its_line() {
    let project = Project::new(&[USERS]).fixtures(&[Script {
        path: "fixtures/users.sql",
        sql: "insert into users (name) values ('a');\n\n-- again\ninsert into users\n  (name) values ('a');\nselect 1",
    }]);
    let by_connection = project.pass(async |test| test.connection().await.unwrap_err());
    let by_pool = project.pass(async |test| test.pool().await.unwrap_err());
    for error in [by_connection, by_pool] {
        let report = format!("{:?}", crate::Error::from(error));
        assert!(report.starts_with("cannot run fixture fixtures/users.sql:4\n"), "{report}");
        assert!(report.contains("UNIQUE constraint failed: users.name"), "{report}");
    }
}

#[test]
fn a_fixture_that_ends_the_transaction_is_named() {
    let project = Project::new(&[USERS])
        .fixtures(&[Script { path: "fixtures/commit.sql", sql: "insert into users (name) values ('a'); commit" }]);
    let (error, _) = project.run(async |test| test.connection().await.unwrap_err());
    assert_eq!(error.to_string(), "fixture fixtures/commit.sql ended ptest's transaction");
    project.pass(async |test| {
        let error = test.pool().await.unwrap_err();
        assert!(error.to_string().starts_with("cannot run fixture"), "{error}");
    });
}

#[test]
fn a_paused_clock_waits_for_sqlite() {
    static PAUSED: TestSpec = TestSpec::new("tests::paused", env!("CARGO_MANIFEST_DIR"))
        .migrations(Migrations::None)
        .start_paused(tokio::time::pause);
    async fn use_pool(pool: SqlitePool) {
        for _ in 0..20 {
            let select = sqlx::query("select count(*) from t").execute(&pool);
            tokio::time::timeout(Duration::from_millis(1), select).await.expect("in time").unwrap();
        }
        let (a, b) = tokio::join!(pool.begin(), pool.begin());
        a.unwrap().commit().await.unwrap();
        b.unwrap().commit().await.unwrap();
    }
    for _ in 0..6 {
        run(&PAUSED, |cx| {
            Box::pin(async move {
                let pool = SqlitePool::from_context(cx).await?;
                crate::test::context::start_body(cx);
                let start = Instant::now();
                pool.execute("create table t (x)").await.unwrap();
                use_pool(pool.clone()).await;
                let tasks: Vec<_> = (0..3).map(|_| tokio::spawn(use_pool(pool.clone()))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
                assert_eq!(start.elapsed(), Duration::ZERO);
                let _held = pool.acquire().await.unwrap();
                let ticks = tokio::spawn(async {
                    let mut interval = tokio::time::interval(Duration::from_secs(60));
                    for _ in 0..5 {
                        interval.tick().await;
                    }
                });
                tokio::time::sleep(Duration::from_secs(3600)).await;
                assert!(ticks.is_finished());
                assert_eq!(start.elapsed().as_secs(), 3600);
                Ok(ExitCode::SUCCESS)
            })
        });
    }
}

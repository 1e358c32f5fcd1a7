//! What a test does with ptest's transaction, and what it is told.

use sqlx::{Connection, Executor};

use super::{Project, USERS, commit_in_savepoint, insert, names};
use crate::Error;
use crate::sqlite::SqliteError;
use crate::sqlite::audit::hint;

/// Runs the statements on a connection, in a test that has inserted a row; then checks what it and the next are told.
#[track_caller]
fn ends_the_transaction(expected: &str, statements: &[&'static str]) {
    let project = Project::new(&[
        USERS,
        ("2_guard.sql", "create trigger guard before delete on users begin select raise(rollback, 'kept'); end"),
    ]);
    let ((), told) = project.run(async |test| {
        let mut conn = test.connection().await.unwrap();
        insert(&mut conn, "of the test").await.unwrap();
        for statement in statements {
            let _ = conn.execute(*statement).await;
        }
    });
    let report = format!("{:?}", Error::from(told.expect_err("the test ended the transaction")));
    assert!(report.starts_with(expected), "{report}");
    assert!(report.contains("`SqlitePool`"), "{report}");
    project.assert_clean();
}

const COMMITTED: &str = "the test committed ptest's transaction";
const ROLLED_BACK: &str = "the test rolled back ptest's transaction";

#[test]
fn commit_is_told() {
    ends_the_transaction(COMMITTED, &["commit"]);
}

#[test]
fn commit_and_a_transaction_of_the_tests_own_are_told() {
    ends_the_transaction(COMMITTED, &["commit", "begin", "insert into users (name) values ('late')"]);
    ends_the_transaction(COMMITTED, &["commit; begin; insert into users (name) values ('late'); commit"]);
}

#[test]
fn rollback_is_told() {
    ends_the_transaction(ROLLED_BACK, &["rollback"]);
    ends_the_transaction(ROLLED_BACK, &["rollback", "insert into users (name) values ('late')"]);
}

#[test]
fn insert_or_rollback_is_told() {
    ends_the_transaction(
        ROLLED_BACK,
        &["insert or rollback into users (name) values ('of the test')", "insert into users (name) values ('late')"],
    );
}

#[test]
fn raise_rollback_is_told() {
    ends_the_transaction(ROLLED_BACK, &["delete from users", "insert into users (name) values ('late')"]);
}

#[test]
fn ddl_after_commit_is_told() {
    ends_the_transaction(COMMITTED, &["commit", "drop table users"]);
}

#[test]
fn a_commit_of_nothing_is_told() {
    let project = Project::new(&[USERS]);
    let (_, told) = project.run(async |test| test.connection().await.unwrap().execute("commit").await.unwrap());
    assert!(matches!(told, Err(SqliteError::Ended { how: "committed" })), "{told:?}");
    project.assert_clean();
}

#[test]
fn begin_with_is_told() {
    let project = Project::new(&[USERS]);
    let (refused, told) = project.run(async |test| {
        let mut conn = test.connection().await.unwrap();
        // sqlx 0.9 refuses it and rolls back what it did not begin, so ptest's transaction.
        let refused = conn.begin_with("BEGIN IMMEDIATE").await.unwrap_err().to_string();
        insert(&mut conn, "late").await.unwrap();
        refused
    });
    assert!(hint(&refused).is_some_and(|hint| hint.contains("begin_with")), "{refused}");
    assert!(matches!(told, Err(SqliteError::Ended { how: "rolled back" })), "{told:?}");
    project.assert_clean();
}

#[test]
fn ddl_and_pragmas_inside_the_transaction_are_rolled_back() {
    let project = Project::new(&[USERS]);
    project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        conn.execute("drop table users; create table users (other); create table more (x); pragma user_version = 9")
            .await
            .unwrap();
        conn.execute("create temp table t (x); insert into t values (1)").await.unwrap();
    });
    project.assert_clean();
    let version: i64 = project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        sqlx::query_scalar("pragma user_version").fetch_one(&mut conn).await.unwrap()
    });
    assert_eq!(version, 0);
}

#[test]
fn transactions_of_the_test_are_savepoints() {
    let project = Project::new(&[USERS]);
    let names = project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        commit_in_savepoint(&mut conn, "committed").await;
        let mut transaction = conn.begin().await.unwrap();
        insert(&mut *transaction, "rolled back").await.unwrap();
        commit_in_savepoint(&mut transaction, "committed in what is rolled back").await;
        transaction.rollback().await.unwrap();
        let mut transaction = conn.begin().await.unwrap();
        insert(&mut *transaction, "dropped").await.unwrap();
        drop(transaction);
        insert(&mut conn, "committed").await.unwrap_err();
        names(&mut conn).await
    });
    assert_eq!(names, ["committed"]);
    project.assert_clean();
}

#[test]
fn a_connection_that_is_closed_dropped_or_abandoned_in_a_transaction_is_no_escape() {
    let project = Project::new(&[USERS]);
    project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        insert(&mut conn, "closed").await.unwrap();
        conn.close().await.unwrap();
    });
    project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        let mut transaction = conn.begin().await.unwrap();
        insert(&mut *transaction, "open").await.unwrap();
        std::mem::forget(transaction);
    });
    project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        tokio::spawn(async move {
            insert(&mut conn, "in a task").await.unwrap();
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
    });
    project.assert_clean();
}

#[test]
fn what_a_transaction_cannot_hold_gets_a_hint() {
    let project = Project::new(&[USERS, ("2_posts.sql", "create table posts (author integer references users (id))")]);
    for statement in [
        "begin",
        "begin immediate",
        "vacuum",
        "pragma synchronous = full",
        "pragma foreign_keys = off; insert into posts values (7)",
    ] {
        let error = project.pass(async |test| {
            let mut conn = test.connection().await.unwrap();
            conn.execute(statement).await.expect_err(statement)
        });
        // As `?` prints it, and as `unwrap` does.
        for message in [error.to_string(), format!("{error:?}")] {
            assert!(
                hint(&message).is_some_and(|hint| hint.contains("isolation = \"database\"")),
                "{statement}: {message}"
            );
        }
    }
    let error = project.pass(async |test| {
        let _conn = test.connection().await.unwrap();
        let other = test.copy_options().busy_timeout(std::time::Duration::ZERO);
        let mut other = sqlx::ConnectOptions::connect(&other).await.unwrap();
        insert(&mut other, "other").await.unwrap_err()
    });
    assert!(hint(&error.to_string()).is_some_and(|hint| hint.contains("write lock")), "{error}");
    assert_eq!(hint("assertion `left == right` failed"), None);
    project.assert_clean();
}

//! `PTEST_KEEP`: the database of a test stays, and the line that is printed opens it and shows what the test saw.

use std::process::Command;

use sqlx::{Connection, Executor, PgPool, SqliteConnection, SqlitePool};

use crate::rerun::Outcome;
use crate::target::Target;

fn keep(target: &Target, whose: &str, name: &str) -> Outcome {
    target.test(&format!("kept::inner::{name}")).env("PTEST_KEEP", whose).env("NEXTEST_TEST_GLOBAL_SLOT", "0").run()
}

/// What the line that opens a kept database answers.
#[track_caller]
fn ask(outcome: &Outcome, sql: &str) -> String {
    let opened: Vec<&str> = outcome.text.split("to be opened with\n").skip(1).collect();
    let [opened] = opened[..] else { panic!("one database should be kept:\n{outcome}") };
    let line = opened.lines().next().unwrap().trim();
    let option = if line.starts_with("psql") { "-Atc " } else { "" };
    run(&format!("{line} {option}\"{sql}\""))
}

#[track_caller]
fn run(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().replace('\n', " ")
}

#[test]
fn the_line_that_is_printed_shows_what_the_test_saw() {
    let target = Target::new();
    for (name, seen) in [
        ("fails", "ada bob"),
        ("panics_in_a_transaction", "ada bob"),
        ("fails_in_a_failed_transaction", "ada"),
        ("fails_before_a_deferred_constraint", "ada"),
        ("waits_in_a_transaction", "ada bob"),
        ("fails_with_a_database_of_its_own", "ada bob"),
        ("fails_on_sqlite", "ada bob"),
        ("fails_on_one_connection_of_sqlite", "ada bob"),
    ] {
        let outcome = keep(&target, "failed", name);
        outcome.failed().never_says("PTEST_KEEP=failed").says("  kept for a day, like all in ");
        assert_eq!(ask(&outcome, "select name from users order by name"), seen, "{outcome}");
    }
    let notes = target.path().join("ptest/kept");
    assert_eq!(notes.read_dir().unwrap().count(), 8);
}

#[test]
fn a_test_that_passes_is_kept_only_when_all_are() {
    let target = Target::new();
    keep(&target, "failed", "passes").passed().never_says("to be opened with");
    let outcome = keep(&target, "all", "passes");
    outcome.passed().never_says("in order");
    assert_eq!(ask(&outcome, "select name from users"), "ada");
    let outcome = keep(&target, "all", "passes_on_sqlite");
    outcome.passed();
    assert_eq!(ask(&outcome, "select name from users"), "ada");
}

#[test]
fn no_test_gets_what_is_kept() {
    let target = Target::new();
    let rows = |outcome: &Outcome| ask(outcome, "select count(*) from users");
    let outcomes: Vec<Outcome> = (0..3).map(|_| keep(&target, "all", "passes")).collect();
    for outcome in &outcomes {
        assert_eq!(rows(outcome.passed()), "1", "{outcome}");
        outcome.says("(slot 0)");
    }
}

#[test]
fn a_process_that_dies_while_it_keeps_a_slot_leaves_nothing_to_the_next_test() {
    let target = Target::new();
    let outcome = keep(&target, "all", "passes");
    let kept = outcome.passed().text.split("'postgresql://").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let (server, name) = kept.rsplit_once('/').unwrap();
    let slot = format!("{}_0", name.split_once("_kept_").unwrap().0);
    // As it was before the rename.
    for sql in [
        format!("alter database {name} with allow_connections false"),
        format!("drop database if exists {slot}"),
        format!("alter database {name} rename to {slot}"),
    ] {
        run(&format!("psql 'postgresql://{server}/postgres' -c '{sql}'"));
    }
    keep(&target, "failed", "passes").passed().never_says("already exists");
}

mod inner {
    use super::*;

    async fn register(on: &PgPool, name: &'static str) {
        sqlx::query("insert into users (name) values ($1)").bind(name).execute(on).await.unwrap();
    }

    async fn with_ada(pool: &PgPool) {
        pool.execute("create table users (name text unique deferrable initially deferred)").await.unwrap();
        register(pool, "ada").await;
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn fails(pool: PgPool) -> Result<(), String> {
        with_ada(&pool).await;
        register(&pool, "bob").await;
        Err("enough".to_owned())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn panics_in_a_transaction(pool: PgPool) {
        with_ada(&pool).await;
        let mut tx = pool.begin().await.unwrap();
        tx.execute("insert into users values ('bob')").await.unwrap();
        panic!("enough");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn fails_in_a_failed_transaction(pool: PgPool) -> sqlx::Result<()> {
        with_ada(&pool).await;
        let mut tx = pool.begin().await?;
        tx.execute("insert into users values ('bob')").await?;
        tx.execute("select 1 / 0").await.map(drop)
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn fails_before_a_deferred_constraint(pool: PgPool) {
        with_ada(&pool).await;
        let mut tx = pool.begin().await.unwrap();
        tx.execute("insert into users values ('bob'), ('bob')").await.unwrap();
        panic!("enough");
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    async fn waits_in_a_transaction(pool: PgPool) {
        with_ada(&pool).await;
        let mut tx = pool.begin().await.unwrap();
        tx.execute("insert into users values ('bob')").await.unwrap();
        std::future::pending().await
    }

    #[ptest::db_test(migrations = false, isolation = "database")]
    #[ignore = "run by another test: fails"]
    async fn fails_with_a_database_of_its_own(pool: PgPool) -> Result<(), String> {
        with_ada(&pool).await;
        register(&pool, "bob").await;
        Err("enough".to_owned())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn fails_on_sqlite(pool: SqlitePool) -> Result<(), String> {
        pool.execute("create table users (name); insert into users values ('ada'), ('bob')").await.unwrap();
        Err("enough".to_owned())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn fails_on_one_connection_of_sqlite(conn: SqliteConnection) {
        let mut conn = conn;
        conn.execute("create table users (name)").await.unwrap();
        let mut tx = conn.begin().await.unwrap();
        tx.execute("insert into users values ('ada'), ('bob')").await.unwrap();
        tx.commit().await.unwrap();
        panic!("enough");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn passes(pool: PgPool) {
        with_ada(&pool).await;
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn passes_on_sqlite(pool: SqlitePool) {
        pool.execute("create table users (name); insert into users values ('ada')").await.unwrap();
    }
}

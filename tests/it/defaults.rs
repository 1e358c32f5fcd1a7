//! What `[package.metadata.ptest]` and `[workspace.metadata.ptest]` say for all tests of a crate.

use std::time::Duration;

use sqlx::{PgPool, query, query_scalar};

use crate::package::Package;
use crate::rerun::{Outcome, Rerun};

/// A workspace with the crate `app`, whose manifests end with these lines.
fn workspace(workspace: &str, package: &str) -> Package {
    let member = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    Package::new(&[
        ("Cargo.toml", &format!("[workspace]\nmembers = [\"app\"]\n{workspace}")),
        ("app/Cargo.toml", &format!("{member}{package}")),
        ("app/src/lib.rs", ""),
        ("migrations/1_shared.sql", "create table shared (name text);"),
        ("app/own/1_own.sql", "create table own (name text);"),
        ("seeds/names.sql", "insert into shared values ('ada'), ('grace');"),
    ])
}

fn run(package: &Package, test: &str) -> Outcome {
    let app = package.path().join("app");
    Rerun::test(&format!("defaults::inner::{test}")).env("CARGO_MANIFEST_DIR", app).run()
}

#[track_caller]
fn says(outcome: &Outcome, expected: &str) {
    assert_eq!(outcome.passed().lines("it has "), [expected], "{outcome}");
}

const SHARED: &str = "[workspace.metadata.ptest]\nmigrations = \"migrations\"\nseed = [\"seeds/names.sql\"]\n";

#[test]
fn a_workspace_says_it_once() {
    says(&run(&workspace(SHARED, ""), "tells"), "shared 2, in a transaction");
    // Without a word: the folder beside the manifest, of which there is none.
    says(&run(&workspace("", ""), "tells"), "nothing, in a transaction");
}

#[test]
fn a_package_counts_more_than_its_workspace() {
    let package = "[package.metadata.ptest]\nmigrations = \"own\"\nseed = []\nisolation = \"database\"\n";
    says(&run(&workspace(SHARED, package), "tells"), "own 0, in a database");
}

#[test]
fn the_attribute_counts_most() {
    let all = format!("{SHARED}isolation = \"database\"\ntimeout = \"1ms\"\n");
    says(&run(&workspace(&all, ""), "says_otherwise"), "nothing, in a transaction");
}

#[test]
fn tables_may_be_written_inline() {
    let package = "[package.metadata]\nptest = { migrations = \"../migrations\", isolation = \"database\" }\n";
    says(&run(&workspace("", package), "tells"), "shared 0, in a database");
}

#[test]
fn times_and_severities() {
    let all = "[workspace.metadata.ptest]\ntimeout = \"300ms\"\nturn_timeout = \"0.2s\"\naudit = { open_transaction = \"error\" }\n";
    let package = workspace(all, "");
    run(&package, "takes_long").failed().says("the test did not end within 300ms");
    run(&package, "waits_for_a_turn").failed().says("waited 200ms for its turn");
    run(&package, "leaves_a_transaction").failed().says("was still in a transaction when the test ended");
    let other = workspace(all, "[package.metadata.ptest.audit]\nopen_transaction = \"off\"\n");
    run(&other, "leaves_a_transaction").passed();
    // A run's word counts more than the crate's.
    let app = package.path().join("app");
    let run = Rerun::test("defaults::inner::leaves_a_transaction").env("CARGO_MANIFEST_DIR", app);
    run.env("PTEST_AUDIT", "open_transaction=off").run().passed();
}

#[test]
fn a_mistake_names_file_and_key() {
    for (line, key, expected) in [
        ("isolaton = \"database\"", "isolaton", "one of `isolation`, `migrations`"),
        ("isolation = \"databse\"", "isolation", "`\"transaction\"` or `\"database\"`"),
        ("migrations = true", "migrations", "a folder or `false`"),
        ("timeout = 5", "timeout", "a number with its unit"),
        ("timeout = \"0s\"", "timeout", "a number with its unit"),
        ("seed = \"names.sql\"", "seed", "an array of files"),
        ("audit = { escape = \"off\" }", "audit.escape", "a list such as"),
    ] {
        let package = workspace("", &format!("[package.metadata.ptest]\n{line}\n"));
        let file = package.path().join("app/Cargo.toml");
        let what = format!("`package.metadata.ptest.{key}` in `{}` is not {expected}", file.display());
        run(&package, "tells").failed().says(&what);
    }
    let package = workspace("[workspace.metadata.ptest]\nseed = [\"no.sql\"]\n", "");
    run(&package, "tells").failed().says(&format!("cannot read `{}`", package.path().join("no.sql").display()));
}

mod inner {
    use super::*;

    async fn tell(pool: &PgPool) -> sqlx::Result<()> {
        let sql = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relname in ('own', 'shared')";
        let table: Option<String> = query_scalar(sql).fetch_optional(pool).await?;
        let has = match table.as_deref() {
            Some("own") => format!("own {}", query_scalar::<_, i64>("select count(*) from own").fetch_one(pool).await?),
            Some(_) => {
                format!("shared {}", query_scalar::<_, i64>("select count(*) from shared").fetch_one(pool).await?)
            }
            None => "nothing".to_owned(),
        };
        // Two transactions have two numbers, and ptest's one has one.
        let number = || query_scalar::<_, String>("select pg_current_xact_id()::text").fetch_one(pool);
        let mode = if number().await? == number().await? { "transaction" } else { "database" };
        println!("it has {has}, in a {mode}");
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by other tests, of packages of theirs"]
    async fn tells(pool: PgPool) -> sqlx::Result<()> {
        tell(&pool).await
    }

    #[ptest::db_test(migrations = false, isolation = "transaction", timeout = "1m")]
    #[ignore = "run by other tests, of packages of theirs"]
    async fn says_otherwise(pool: PgPool) -> sqlx::Result<()> {
        tell(&pool).await
    }

    #[ptest::db_test]
    #[ignore = "run by other tests, of packages of theirs"]
    async fn takes_long(_pool: PgPool) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    #[ptest::db_test(timeout = "1m")]
    #[ignore = "run by other tests, of packages of theirs"]
    async fn waits_for_a_turn(pool: PgPool) -> sqlx::Result<()> {
        let _open = pool.begin().await?;
        query("select 1").execute(&pool).await.map(drop)
    }

    #[ptest::db_test(timeout = "1m")]
    #[ignore = "run by other tests, of packages of theirs"]
    async fn leaves_a_transaction(mut conn: sqlx::PgConnection) -> sqlx::Result<()> {
        query("begin").execute(&mut conn).await?;
        std::mem::forget(conn);
        Ok(())
    }
}

//! What becomes of a test's outcome: its own reaches the runner untouched, and a failure of ptest fails it at its line.

use std::error::Error;
use std::process::{ExitCode, Termination};

use sqlx::PgPool;

use crate::rerun::Rerun;

/// What a test returns that is done with its database.
enum Done {
    Well,
}

impl Termination for Done {
    fn report(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

#[ptest::db_test(migrations = false)]
async fn a_boxed_error(pool: PgPool) -> Result<(), Box<dyn Error>> {
    let two: i32 = sqlx::query_scalar("select 2").fetch_one(&pool).await?;
    assert_eq!(two, "2".parse::<i32>()?);
    Ok(())
}

#[ptest::db_test(migrations = false)]
async fn an_exit_code(_pool: PgPool) -> ExitCode {
    ExitCode::SUCCESS
}

#[ptest::db_test(migrations = false)]
async fn a_type_of_ones_own(_pool: PgPool) -> Done {
    Done::Well
}

#[ptest::db_test(migrations = false)]
async fn an_opaque_type(_pool: PgPool) -> impl Termination {
    Done::Well
}

#[ptest::db_test(migrations = false)]
fn a_plain_function_with_a_result(_pool: PgPool) -> Result<ExitCode, String> {
    Ok(ExitCode::SUCCESS)
}

#[ptest::db_test(migrations = false)]
#[should_panic]
async fn should_panic(_pool: PgPool) {
    panic!("as it should");
}

#[ptest::db_test(migrations = false)]
#[should_panic(expected = "admin is no guest")]
async fn should_panic_with_its_own_words(pool: PgPool) {
    let name: String = sqlx::query_scalar("select 'admin'").fetch_one(&pool).await.unwrap();
    assert_eq!(name, "guest", "{name} is no guest");
}

#[ptest::db_test(migrations = false)]
#[should_panic(expected = "in a plain function")]
fn should_panic_in_a_plain_function(_pool: PgPool) {
    panic!("in a plain function");
}

#[test]
fn a_panic_is_the_tests_own() {
    let line = inner::PANICS.to_string();
    let outcome = Rerun::test("outcomes::inner::panics").run();
    outcome.failed().says(&format!("outcomes.rs:{line}:")).says("no user `guest`").never_says("help:");
    outcome.says("ptest: `outcomes::inner::panics` has run no statement");
}

#[test]
fn a_panic_of_a_plain_function_is_its_own() {
    Rerun::test("outcomes::inner::panics_without_async").run().failed().says("no user `root`").never_says("help:");
}

#[test]
fn a_payload_that_is_no_text_is_the_tests_own() {
    Rerun::test("outcomes::inner::panics_with_a_number").run().failed().says("Box<dyn Any>").never_says("help:");
}

#[test]
fn an_error_is_the_tests_own() {
    Rerun::test("outcomes::inner::returns_an_error")
        .run()
        .failed()
        .says(r#"Error: "no such user""#)
        .never_says("help:");
}

#[test]
fn an_exit_code_is_the_tests_own() {
    Rerun::test("outcomes::inner::returns_three").run().failed().never_says("help:");
}

#[test]
fn a_failure_of_ptest_is_at_the_tests_line_and_the_body_does_not_run() {
    for (name, line) in [("has_no_schema", inner::HAS_NO_SCHEMA), ("has_no_schema_either", inner::HAS_NO_SCHEMA_EITHER)]
    {
        let outcome = Rerun::test(&format!("outcomes::inner::{name}")).run();
        outcome.failed().says(&format!("tests/it/outcomes.rs:{line}:")).never_says("the body runs");
        outcome.says("the migrations folder").says("tests/it/nowhere` does not exist").says("\n  help: ");
    }
}

#[test]
fn a_failure_of_ptest_is_not_the_panic_that_should_be() {
    for name in ["should_panic_but_has_no_schema", "should_panic_but_has_no_schema_either"] {
        let outcome = Rerun::test(&format!("outcomes::inner::{name}")).run();
        outcome.failed().says("test did not panic as expected").says("ptest: the migrations folder").says("\n  help: ");
        outcome.never_says("the body runs");
    }
}

#[test]
fn an_ignored_test_does_not_run() {
    let binary = std::env::current_exe().unwrap();
    let name = "outcomes::inner::panics";
    let output = std::process::Command::new(binary).args(["--exact", name, "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 ignored") && text.contains(inner::REASON), "{text}");
}

mod inner {
    use super::*;

    pub(super) const REASON: &str = "run by another test: fails";
    pub(super) const PANICS: u32 = line!() + 5;

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn panics(_pool: PgPool) {
        panic!("no user `{}`", "guest");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    fn panics_without_async(_pool: PgPool) {
        panic!("no user `{}`", "root");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn panics_with_a_number(_pool: PgPool) {
        std::panic::panic_any(7);
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn returns_an_error(_pool: PgPool) -> Result<(), Box<dyn Error>> {
        Err("no such user")?;
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn returns_three(_pool: PgPool) -> ExitCode {
        ExitCode::from(3)
    }

    pub(super) const HAS_NO_SCHEMA: u32 = line!() + 2;

    #[ptest::db_test(migrations = "tests/it/nowhere")]
    #[ignore = "run by another test: fails"]
    async fn has_no_schema(_pool: PgPool) {
        println!("the body runs");
    }

    pub(super) const HAS_NO_SCHEMA_EITHER: u32 = line!() + 2;

    #[ptest::db_test(migrations = "tests/it/nowhere")]
    #[ignore = "run by another test: fails"]
    fn has_no_schema_either(_pool: PgPool) -> Result<(), String> {
        println!("the body runs");
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/nowhere")]
    #[ignore = "run by another test: fails"]
    #[should_panic]
    async fn should_panic_but_has_no_schema(_pool: PgPool) {
        panic!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/nowhere")]
    #[ignore = "run by another test: fails"]
    #[should_panic(expected = "")]
    fn should_panic_but_has_no_schema_either(_pool: PgPool) {
        panic!("the body runs");
    }
}

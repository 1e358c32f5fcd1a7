//! The life of a test, without any database: what it does to a kind of database that only notes what it is told.

mod fake;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use fake::{Fails, Fake, fakes};

use super::context::{Context, start_body};
use super::run::{report, run, run_blocking};
use crate::audit::{Kind, Severities, Severity};
use crate::engine::Engine;
use crate::spec::{Database, TestSpec};

static TEST: TestSpec = TestSpec::new("app::life", "/app");
static OTHER: Database = Database::new("/app");

/// Runs an async body with one database, and gives its outcome, or the message of its panic, and what was noted.
fn lives(
    test: &'static TestSpec,
    fails: Fails,
    body: impl AsyncFnOnce() -> ExitCode + 'static,
) -> (Outcome, Vec<String>) {
    let log = fakes(fails);
    let outcome = outcome(|| {
        run(test, |cx| {
            Box::pin(async move {
                cx.get::<Fake<'a'>>().await?;
                start_body(cx);
                Ok(body().await)
            })
        })
    });
    (outcome, log.all())
}

type Outcome = Result<ExitCode, String>;

fn outcome(run: impl FnOnce() -> ExitCode) -> Outcome {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| crate::sys::panic_message(&*panic))
}

async fn passes() -> ExitCode {
    ExitCode::SUCCESS
}

#[test]
fn a_test_that_passes_is_settled_and_closed() {
    let (outcome, log) = lives(&TEST, Fails::Nowhere, passes);
    assert_eq!(outcome, Ok(ExitCode::SUCCESS));
    assert_eq!(log, ["a: opened", "a: settled", "a: closed, passed", "a: housekeeping"]);
}

#[test]
fn a_panic_goes_on_untouched_when_the_database_was_looked_at_and_closed() {
    let (outcome, log) = lives(&TEST, Fails::Close, async || panic!("my own words"));
    assert_eq!(outcome, Err("my own words".to_owned()));
    assert_eq!(log, ["a: opened", "a: looked at", "a: closed, failed", "a: housekeeping"]);
}

#[test]
fn an_error_is_a_failure_that_the_runner_hears_of() {
    let (outcome, log) = lives(&TEST, Fails::Audit, async || report(Err::<(), _>("no such user")));
    assert_eq!(outcome, Ok(ExitCode::FAILURE));
    assert_eq!(log[1..3], ["a: looked at", "a: closed, failed"]);
}

#[test]
fn a_close_that_fails_fails_a_test_that_has_passed() {
    let (outcome, log) = lives(&TEST, Fails::Close, passes);
    let message = outcome.unwrap_err();
    assert!(message.contains("the fake escaped") && message.contains("`life` had a"), "{message}");
    assert_eq!(log.last().unwrap(), "a: housekeeping");
}

#[test]
fn what_is_found_fails_a_test_as_its_severities_say() {
    static STRICT: TestSpec =
        TestSpec::new("app::strict", "/app").audit(Severities::new().set(Kind::LeakedSession, Severity::Error));
    let (outcome, _) = lives(&STRICT, Fails::Audit, passes);
    assert!(outcome.unwrap_err().contains("still open"));
    let (outcome, _) = lives(&TEST, Fails::Audit, passes);
    assert_eq!(outcome, Ok(ExitCode::SUCCESS), "a warning");
}

#[test]
fn where_a_panic_is_expected_a_failure_of_the_harness_is_none() {
    static PANICS: TestSpec = TestSpec::new("app::panics", "/app").should_panic("words");
    let (outcome, _) = lives(&PANICS, Fails::Close, async || panic!("the words"));
    assert_eq!(outcome, Ok(ExitCode::SUCCESS), "so that the runner misses the panic");
    let (outcome, _) = lives(&PANICS, Fails::Nowhere, async || panic!("the words"));
    assert_eq!(outcome, Err("the words".to_owned()));
    let (outcome, log) = lives(&PANICS, Fails::Open, passes);
    assert_eq!(outcome, Ok(ExitCode::SUCCESS));
    assert_eq!(log.last().unwrap(), "a: opened");
}

#[test]
fn a_body_that_waits_for_too_long_is_looked_at_interrupted_and_dropped() {
    static SHORT: TestSpec = TestSpec::new("app::short", "/app").timeout_ms(20);
    let (outcome, log) = lives(&SHORT, Fails::Nowhere, async || std::future::pending().await);
    assert!(outcome.unwrap_err().contains("the test did not end within 20ms"));
    let at = |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what}: {log:?}"));
    assert!(at("a: looked at, late") < at("a: closed, failed"));
    assert!(at("a: opened") < at("a: looked at, late"));
}

/// Runs a body that blocks its thread until this is noted, past its deadline.
fn blocks_until(noted: &str) -> Vec<String> {
    static SHORT: TestSpec = TestSpec::new("app::short", "/app").timeout_ms(20);
    let log = fakes(Fails::Nowhere);
    let outcome = outcome(|| {
        run_blocking(
            &SHORT,
            |cx| {
                Box::pin(async {
                    cx.get::<Fake<'a'>>().await?;
                    start_body(cx);
                    Ok(())
                })
            },
            |()| {
                while !log.has(noted) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                ExitCode::SUCCESS
            },
        )
    });
    assert!(outcome.unwrap_err().contains("the test did not end within 20ms"));
    log.all()
}

#[test]
fn a_body_that_blocks_its_thread_is_told_and_then_fails() {
    assert_eq!(blocks_until("a: interrupted")[..3], ["a: opened", "a: looked at, late", "a: interrupted"]);
}

#[test]
fn a_body_that_ends_while_it_is_looked_at_is_late() {
    assert_eq!(blocks_until("a: looked at, late")[..2], ["a: opened", "a: looked at, late"]);
}

#[test]
fn the_deadline_begins_with_the_body() {
    static SHORT: TestSpec = TestSpec::new("app::short", "/app").timeout_ms(20);
    fakes(Fails::Nowhere);
    let outcome = outcome(|| {
        run(&SHORT, |cx| {
            Box::pin(async {
                cx.get::<Fake<'a'>>().await?;
                tokio::time::sleep(Duration::from_millis(60)).await;
                start_body(cx);
                Ok(ExitCode::SUCCESS)
            })
        })
    });
    assert_eq!(outcome, Ok(ExitCode::SUCCESS));
}

#[test]
fn databases_of_all_kinds_are_opened_once_and_all_are_closed() {
    let log = fakes(Fails::Close);
    let outcome = outcome(|| {
        run(&TEST, |cx| {
            Box::pin(async {
                cx.get::<Fake<'a'>>().await?.use_it();
                cx.get::<Fake<'b'>>().await?.use_it();
                cx.get::<Fake<'a'>>().await?.use_it();
                cx.of(&OTHER).get::<Fake<'a'>>().await?.use_it();
                cx.of(&OTHER).get::<Fake<'a'>>().await?.use_it();
                Ok(ExitCode::SUCCESS)
            })
        })
    });
    let message = outcome.unwrap_err();
    for section in ["`life` had a\n", "`life` had b\n", "`life` had a named\n"] {
        assert!(message.contains(section), "{message}");
    }
    let log = log.all();
    let count = |what: &str| log.iter().filter(|line| line.ends_with(what)).count();
    assert_eq!(count("opened"), 3, "{log:?}");
    assert_eq!(count("used"), 5, "{log:?}");
    assert_eq!(count("closed, passed"), 3, "{log:?}");
    let last = log.iter().rposition(|line| line.ends_with("closed, passed"));
    assert!(last < log.iter().position(|line| line.ends_with("housekeeping")), "{log:?}");
}

#[test]
fn a_database_that_cannot_be_opened_leaves_those_before_it_closed() {
    let log = fakes(Fails::Nowhere);
    let outcome = outcome(|| {
        run(&TEST, |cx| {
            Box::pin(async {
                cx.get::<Fake<'a'>>().await?;
                fakes(Fails::Open);
                cx.get::<Fake<'b'>>().await?;
                unreachable!("it has not been opened")
            })
        })
    });
    assert!(outcome.unwrap_err().contains("no fake is free"));
    assert_eq!(log.all(), ["a: opened", "b: opened", "a: looked at", "a: closed, failed", "a: housekeeping"]);
}

#[test]
fn a_fixture_that_fails_leaves_its_database_closed() {
    let (outcome, log) = lives(&TEST, Fails::Load, passes);
    assert!(outcome.unwrap_err().contains("the fixture is broken"));
    assert_eq!(log, ["a: opened", "a: looked at", "a: closed, failed", "a: housekeeping"]);
}

#[tokio::test]
async fn a_draft_has_the_one_database_that_is_made() {
    fakes(Fails::Nowhere);
    let mut own = Context::new(&TEST);
    own.get::<Fake<'a'>>().await.unwrap();
    let fake = <Fake<'a'> as Engine>::open(&TEST).await.unwrap();
    let mut cx = Context::of_draft(fake);
    cx.get::<Fake<'a'>>().await.unwrap();
    let other_kind = cx.get::<Fake<'b'>>().await.unwrap_err().to_string();
    assert_eq!(other_kind, "it asks for Fake B, but makes a template of Fake A");
    let named = cx.of(&OTHER).get::<Fake<'a'>>().await.unwrap_err().to_string();
    assert_eq!(named, "it asks for another database than the one whose template it makes");
}

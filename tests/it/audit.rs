//! What is found when a test is over: what is said of it, and what becomes of the test and of its database.

mod answers;
mod escapes;
mod found;

use crate::rerun::{Outcome, Rerun, server_version};

const ALL: &str = "deferred_constraint=error,open_transaction=error,leaked_session=error,advisory_lock=error,\
    other_connection=error";

fn run(name: &str) -> Outcome {
    Rerun::test(&format!("audit::found::{name}")).run()
}

fn run_with(levels: &str, name: &str) -> Outcome {
    Rerun::test(&format!("audit::found::{name}")).env("PTEST_AUDIT", levels).run()
}

/// What the session of a test with `isolation = "database"` is called: before PostgreSQL 15 its clients connect to the server
/// itself, where ptest sees no sessions.
fn in_a_database() -> &'static str {
    if server_version() < 15 { "a connection" } else { "session 1" }
}

#[test]
fn tests_that_end_as_they_should() {
    Rerun::module("audit::found::clean::").env("PTEST_AUDIT", ALL).run().passed().never_says("ptest:");
}

#[test]
fn an_open_transaction() {
    let found =
        "session 1 was still in a transaction when the test ended, and last ran: insert into account values ('admin')";
    run("open::begins_in_a_pool").passed().says(&format!("ptest: warning: {found}")).says("\n  help: ");
    run_with("open_transaction=error", "open::begins_in_a_pool").failed().says(found).says("tests/it/audit/found.rs:");
    run_with("open_transaction=off", "open::begins_in_a_pool").passed().never_says("ptest:");
    run("open::a_task_holds_it").passed().says(found);
    let found = format!("{} was still in a transaction when the test ended", in_a_database());
    run("open::in_a_database").passed().says(&found).says("values ('admin')");
}

#[test]
fn a_test_says_more_than_the_run() {
    run("open::is_an_error").failed().says("was still in a transaction when the test ended");
    run_with("open_transaction=off", "open::is_an_error").failed();
    run_with("open_transaction=error", "open::is_off").passed().never_says("ptest:");
}

#[test]
fn a_leaked_session() {
    run("leaked::thread").passed().says("session 1 was still open when the test ended, and last ran: select 1");
    run("leaked::process").passed().says("ptest: warning: session 1 was still open");
    run("leaked::forgotten").passed().says("session 1 was still open, and in a transaction, when the test ended");
    // A leak hides no open transaction.
    run_with("open_transaction=error,leaked_session=off", "leaked::forgotten").failed().says("still in a transaction");
    run("leaked::task")
        .passed()
        .says("session 1 was still running a statement of a task when the test ended: select pg_sleep");
    let found = format!("{} was still open when the test ended, and last ran: select 1", in_a_database());
    run("leaked::database").passed().says(&found);
    run("leaked::sqlite").passed().says("ptest: warning: a connection was still open when the test ended\n");
    run_with("leaked_session=error", "leaked::sqlite").failed();
    run_with("leaked_session=error", "leaked::thread").failed();
    run_with("leaked_session=error", "leaked::database").failed();
}

#[test]
fn an_advisory_lock() {
    run("locks::holds").passed().says("the test ended with 3 advisory locks held: 8, (1, -2), -7");
    run_with("advisory_lock=error", "locks::holds").failed();
    run_with("advisory_lock=error", "locks::lets_go").passed().never_says("ptest:");
}

#[test]
fn a_test_that_passes_on_an_answer_of_ptest() {
    let run = |name: &str| Rerun::test(&format!("audit::answers::{name}")).run();
    let refused = "was idle in a transaction, and the test passed: ";
    run("swallows_the_error").failed().says(&format!("{refused}update users")).says("audit(turn = \"off\")");
    run("swallows_it_at_begin").failed().says(refused);
    run("expects_a_panic").failed().says("note: test did not panic as expected");
    run("expects_the_error").passed().never_says("ptest:");
    let outcome = Rerun::test("audit::answers::swallows_the_error").env("PTEST_AUDIT", "turn=warning").run();
    outcome.passed().says("ptest: warning: session ").says(refused);

    let no_server = "session 1 was answered as no server would: ";
    run("vacuums_nothing")
        .failed()
        .says(&format!("{no_server}VACUUM cannot run inside a transaction block"))
        .says("and 1 more");
    run("expects_that_it_vacuums_nothing").passed().never_says("ptest:");
    run("prepares").failed().says(no_server);
    run("adds_to_an_enum").failed().says(no_server).says("isolation = \"database\"");
    run("vacuums_in_its_transaction").passed().never_says("ptest:");
}

#[test]
fn a_deferred_constraint() {
    let outcome = run("deferred::is_violated");
    outcome.failed().says("the test ended with a deferred constraint violated: insert or update on table \"child\"");
    outcome.says("SQLSTATE 23503");
    run_with("deferred_constraint=off", "deferred::is_violated").passed().never_says("ptest:");
    for name in ["is_violated_in_a_transaction", "is_violated_where_nobody_rolls_back"] {
        run(&format!("deferred::{name}")).failed().says("violated: insert or update on table \"pet\"");
    }
    run("deferred::is_meant_in_a_transaction").passed().never_says("ptest:");
    run("deferred::is_rolled_back").passed().never_says("ptest:");
    // The slot is as good as ever.
    let outcome = Rerun::module("audit::found::deferred::").threads(1).run();
    let slots = outcome.lines("leased ");
    assert!(slots.len() == 2 && slots[0] == slots[1], "{outcome}");
    outcome.says("3 passed; 3 failed");
}

#[test]
fn a_test_that_failed_by_itself_keeps_its_own_message() {
    for name in ["failing::panics", "failing::fails"] {
        run_with(ALL, name).failed().says("no room for `guest`").never_says("when the test ended");
    }
}

#[test]
fn a_list_that_cannot_be_read() {
    let outcome = run_with("leaked_sessions=off", "clean::pool");
    outcome.failed().says("`leaked_sessions=off` is not a valid value for PTEST_AUDIT");
    outcome.says("caused by: there is no finding `leaked_sessions`").says("help: write a list such as");
    run_with("escape=off", "clean::pool").failed().says("caused by: an escape always fails the test");
}

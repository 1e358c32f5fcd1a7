//! The life of a test: open, body, close.
//!
//! Whatever the body does, the test is closed: its value is reported as the runner would have done it, its runtime ends
//! with all its tasks, then its databases are audited and rolled back, and only then does its outcome go on to the runner,
//! untouched. A test that failed says what it did to its database, after its own message.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{ExitCode, Termination};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::error::Failure;
use crate::helper;
use crate::spec::TestSpec;
use crate::sys::{BoxFuture, end_runtime, panic_message};
use crate::test::context::{Closed, Context};
use crate::test::deadline::Deadline;
use crate::test::defaults;
use crate::test::runtime;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot start the runtime of the test")]
    Runtime(#[source] std::io::Error),
    #[error("the test did not end within {0:?}")]
    Timeout(Duration),
}

impl Failure for RunError {
    fn help(&self) -> Option<String> {
        match self {
            RunError::Runtime(_) => None,
            RunError::Timeout(_) => {
                Some("raise `timeout` in the attribute, or find out what the test waits for".to_owned())
            }
        }
    }
}

/// Runs the test of an `async fn`.
#[track_caller]
pub fn run(
    test: &'static TestSpec,
    body: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<ExitCode>>,
) -> ExitCode {
    helper::serve_if_called();
    let (test, described) = described(test);
    let mut cx = Context::new(test);
    let outcome = described.and_then(|()| {
        live(&mut cx, |cx, runtime, deadline| {
            let hold = cx.clock_hold().clone();
            runtime.block_on(hold.watch(within(deadline, body(cx)))).unwrap_or_else(|| Err(timeout(test)))
        })
    });
    finish(cx, outcome)
}

/// Runs the test of a plain `fn`: its parameters are made on the runtime, its body runs outside of it.
#[track_caller]
pub fn run_blocking<P>(
    test: &'static TestSpec,
    params: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<P>>,
    body: impl FnOnce(P) -> ExitCode,
) -> ExitCode {
    helper::serve_if_called();
    let (test, described) = described(test);
    let mut cx = Context::new(test);
    let outcome = described.and_then(|()| {
        live(&mut cx, |cx, runtime, _| {
            let params = runtime.block_on(params(cx))?;
            Ok(runtime::run_beside(test, runtime, || body(params)).map_err(RunError::Runtime)?)
        })
    });
    finish(cx, outcome)
}

/// The test with the defaults of its package, or as it is and why these cannot be read.
fn described(test: &'static TestSpec) -> (&'static TestSpec, crate::Result<()>) {
    match defaults::applied(test) {
        Ok(test) => (test, Ok(())),
        Err(error) => (test, Err(error)),
    }
}

/// Does with a body's value what the runner would do: says what is wrong with it, before ptest says the rest.
pub fn report(value: impl Termination) -> ExitCode {
    value.report()
}

/// What the body came to: what its value tells the runner, its own panic, or a failure of the harness.
type Outcome = crate::Result<Result<ExitCode, Box<dyn Any + Send>>>;

/// Gives the body a runtime of its own, and ends it with all its tasks.
fn live(
    cx: &mut Context,
    body: impl FnOnce(&mut Context, &Runtime, Option<&mut Deadline>) -> crate::Result<ExitCode>,
) -> Outcome {
    let test = cx.test();
    let runtime = runtime::build(test, cx.clock_hold()).map_err(RunError::Runtime)?;
    let mut deadline = match test.timeout {
        Some(limit) => Some(cx.deadline(limit).map_err(RunError::Runtime)?),
        None => None,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| body(cx, &runtime, deadline.as_mut())));
    // A body that blocks its thread is not stopped, but told.
    let late = deadline.is_some_and(|deadline| deadline.has_passed());
    let outcome = match outcome {
        Ok(Ok(_)) if late => Err(timeout(test)),
        Ok(result) => result.map(Ok),
        Err(panic) => {
            if late {
                eprintln!("ptest: {:?}", timeout(test));
            }
            Ok(Err(panic))
        }
    };
    // While its sessions are as the body left them.
    match has_failed(test, &outcome) {
        true => cx.look(),
        false => cx.settle(Some(&runtime)),
    }
    end_runtime(runtime);
    outcome
}

/// Whether the runner will call it a failure.
fn has_failed(test: &TestSpec, outcome: &Outcome) -> bool {
    match outcome {
        Ok(Ok(code)) => *code != ExitCode::SUCCESS || test.should_panic.is_some(),
        Ok(Err(panic)) => !test.should_panic.is_some_and(|expected| panic_message(&**panic).contains(expected)),
        Err(_) => true,
    }
}

async fn within<T>(deadline: Option<&mut Deadline>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => deadline.run(future).await,
        None => Some(future.await),
    }
}

fn timeout(test: &TestSpec) -> crate::Error {
    RunError::Timeout(test.timeout.unwrap_or_default()).into()
}

#[track_caller]
fn finish(cx: Context, outcome: Outcome) -> ExitCode {
    let test = cx.test();
    let failed = has_failed(test, &outcome);
    let message = outcome.as_ref().ok().and_then(|body| body.as_ref().err()).map(|panic| panic_message(&**panic));
    let Closed { result, report, housekeeping } = cx.close(failed, message.as_deref());
    housekeeping.into_iter().for_each(|chore| chore());
    match (outcome, result) {
        (Ok(Ok(_)), Err(error)) if !failed => fail(test, &error, report.failed()),
        (Ok(Ok(code)), closed) => {
            warn(closed);
            eprint!("{}", report.of(failed));
            code
        }
        // The panic may be the one that is expected because of what was found.
        (Ok(Err(_)), Err(error)) if !failed => fail(test, &error, report.failed()),
        (Ok(Err(panic)), closed) => {
            warn(closed);
            eprint!("{}", report.of(failed));
            resume_unwind(panic)
        }
        (Err(error), closed) => {
            warn(closed);
            fail(test, &error, report.failed())
        }
    }
}

/// What is found at the end never takes the place of the test's own failure.
fn warn(closed: crate::Result<()>) {
    if let Err(error) = closed {
        eprintln!("ptest: {error:?}");
    }
}

/// Fails the test at its own line. Where the runner expects a panic, not panicking is what fails.
#[track_caller]
fn fail(test: &TestSpec, error: &crate::Error, report: impl Display) -> ExitCode {
    if test.should_panic.is_none() {
        panic!("{error:?}\n{report}");
    }
    eprint!("ptest: {error:?}\n{report}");
    ExitCode::SUCCESS
}

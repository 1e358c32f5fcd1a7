//! The life of a test: open, body, close.
//!
//! Whatever the body does, the test is closed: its runtime ends with all its tasks, then its databases are audited and
//! rolled back, and only then does its outcome go on to the runner, untouched.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::context::Context;
use crate::deadline::Deadline;
use crate::runtime::{self, ClockHold};
use crate::test::Test;

/// The future that makes a test's parameters, or runs its body.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot start the runtime of the test")]
    Runtime(#[source] std::io::Error),
    #[error("the test did not end within {0:?}")]
    Timeout(Duration),
}

impl RunError {
    pub(crate) fn help(&self) -> Option<String> {
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
pub fn run<T: 'static>(
    test: &'static Test,
    body: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<T>>,
) -> T {
    let mut cx = Context::new(test);
    let outcome = live(&mut cx, runtime::build, |cx, runtime, deadline| {
        let hold = cx.clock_hold().clone();
        runtime.block_on(hold.watch(within(deadline, body(cx)))).unwrap_or_else(|| Err(timeout(test)))
    });
    finish(cx, outcome)
}

/// Runs the test of a plain `fn`: its parameters are made on the runtime, its body runs outside of it.
#[track_caller]
pub fn run_blocking<P, T: 'static>(
    test: &'static Test,
    params: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<P>>,
    body: impl FnOnce(P) -> T,
) -> T {
    let mut cx = Context::new(test);
    let outcome = live(&mut cx, runtime::build_beside, |cx, runtime, _| {
        let params = runtime.block_on(params(cx))?;
        // Pools need a runtime where they are dropped; a body may start one of its own all the same.
        let _inside = runtime.enter();
        Ok(body(params))
    });
    finish(cx, outcome)
}

/// What the body came to: a value, its own panic, or a failure of the harness.
type Outcome<T> = crate::Result<Result<T, Box<dyn Any + Send>>>;

/// Gives the body a runtime of its own, and ends it with all its tasks.
fn live<T>(
    cx: &mut Context,
    build: fn(&Test, &ClockHold) -> std::io::Result<Runtime>,
    body: impl FnOnce(&mut Context, &Runtime, Option<&mut Deadline>) -> crate::Result<T>,
) -> Outcome<T> {
    let test = cx.test();
    let runtime = build(test, cx.clock_hold()).map_err(RunError::Runtime)?;
    let mut deadline = match test.timeout {
        Some(limit) => Some(cx.deadline(limit).map_err(RunError::Runtime)?),
        None => None,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| body(cx, &runtime, deadline.as_mut())));
    runtime::end(runtime);
    // A body that blocks its thread is not stopped, but told.
    let late = deadline.is_some_and(|mut deadline| deadline.has_passed());
    match outcome {
        Ok(Ok(_)) if late => Err(timeout(test)),
        Ok(result) => result.map(Ok),
        Err(panic) => {
            if late {
                eprintln!("ptest: {:?}", timeout(test));
            }
            Ok(Err(panic))
        }
    }
}

async fn within<T>(deadline: Option<&mut Deadline>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => deadline.run(future).await,
        None => Some(future.await),
    }
}

fn timeout(test: &Test) -> crate::Error {
    RunError::Timeout(test.timeout.unwrap_or_default()).into()
}

#[track_caller]
fn finish<T: 'static>(cx: Context, outcome: Outcome<T>) -> T {
    let test = cx.test();
    let message = outcome.as_ref().ok().and_then(|body| body.as_ref().err()).map(|panic| message(&**panic));
    let closed = cx.close(message.as_deref());
    match (outcome, closed) {
        (Ok(Ok(value)), Ok(())) => value,
        (Ok(Ok(_)), Err(error)) | (Err(error), Ok(())) => fail(test, &error),
        (Ok(Err(panic)), closed) => {
            warn(closed);
            resume_unwind(panic)
        }
        (Err(error), closed) => {
            warn(closed);
            fail(test, &error)
        }
    }
}

/// The message of a panic, where it has one.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or_default().to_owned()
}

/// What is found at the end never takes the place of the test's own failure.
fn warn(closed: crate::Result<()>) {
    if let Err(error) = closed {
        eprintln!("ptest: {error:?}");
    }
}

/// Fails the test at its own line. Where the runner expects a panic, not panicking is what fails.
#[track_caller]
fn fail<T: 'static>(test: &Test, error: &crate::Error) -> T {
    let mut unit = Some(());
    match (&mut unit as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take) {
        Some(value) if test.should_panic => {
            eprintln!("ptest: {error:?}");
            value
        }
        _ => panic!("{error:?}"),
    }
}

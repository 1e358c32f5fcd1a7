//! The life of a test: open, body, close.
//!
//! Whatever the body does, the test is closed: its runtime ends with all its tasks, then its databases are audited and
//! rolled back, and only then does its outcome go on to the runner, untouched.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use crate::context::Context;
use crate::runtime;
use crate::test::Test;

/// The future that makes a test's parameters, or runs its body.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot start the tokio runtime of the test")]
    Runtime(#[source] std::io::Error),
    #[error("the test did not end within {0:?}")]
    Timeout(Duration),
}

impl RunError {
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            RunError::Runtime(_) => None,
            RunError::Timeout(_) => {
                Some("raise `timeout` in the attribute, or find what the test waits for".to_owned())
            }
        }
    }
}

/// Runs the test of an `async fn`.
#[track_caller]
pub fn run<T>(test: &'static Test, body: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<T>>) -> T {
    let mut cx = Context::new(test);
    let outcome = runtime::build(test).map_err(|e| RunError::Runtime(e).into()).and_then(|runtime| {
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(body(&mut cx))));
        runtime::end(runtime);
        outcome.map_or_else(|panic| Ok(Err(panic)), |result| result.map(Ok))
    });
    finish(cx, outcome)
}

/// Runs the test of a plain `fn`: its parameters are made on the runtime, its body runs outside of it.
#[track_caller]
pub fn run_blocking<P, T>(
    test: &'static Test,
    params: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<P>>,
    body: impl FnOnce(P) -> T,
) -> T {
    let mut cx = Context::new(test);
    let outcome = runtime::build(test).map_err(|e| RunError::Runtime(e).into()).and_then(|runtime| {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let params = runtime.block_on(params(&mut cx))?;
            // Pools need a runtime where they are dropped; a body may start one of its own all the same.
            let _inside = runtime.enter();
            Ok(body(params))
        }));
        runtime::end(runtime);
        outcome.map_or_else(|panic| Ok(Err(panic)), |result| result.map(Ok))
    });
    finish(cx, outcome)
}

type Panic = Box<dyn std::any::Any + Send>;

#[track_caller]
fn finish<T>(cx: Context, outcome: crate::Result<Result<T, Panic>>) -> T {
    let verdict = cx.close();
    if let Some(why) = verdict.as_ref().and_then(|v| v.lost.as_deref()) {
        eprintln!("ptest: warning: the database of this test was given up: {why}");
    }
    match outcome {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(error) => panic!("{error:?}"),
    }
}

//! The life of a test: open, body, close.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;

use crate::context::Context;
use crate::test::Test;

/// The future that makes a test's parameters, or runs its body.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs the test of an `async fn`.
#[track_caller]
pub fn run<T>(test: &'static Test, body: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut cx = Context::new(test);
    let result = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(body(&mut cx))));
    // With its tasks, which may hold connections.
    drop(runtime);
    finish(cx, result)
}

/// Runs the test of a plain `fn`: its parameters are made on the runtime, its body runs outside of it.
#[track_caller]
pub fn run_blocking<P, T>(
    test: &'static Test,
    params: impl for<'c> FnOnce(&'c mut Context) -> BoxFuture<'c, crate::Result<P>>,
    body: impl FnOnce(P) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut cx = Context::new(test);
    let result = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(params(&mut cx)).map(body)));
    drop(runtime);
    finish(cx, result)
}

#[track_caller]
fn finish<T>(cx: Context, result: std::thread::Result<crate::Result<T>>) -> T {
    let message = result.as_ref().err().map(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| payload.downcast_ref().copied()).unwrap_or_default()
    });
    let closed = cx.close(message);
    match result {
        Ok(result) => match result.and_then(|value| closed.map(|()| value)) {
            Ok(value) => value,
            Err(error) => panic!("{error:?}"),
        },
        Err(payload) => {
            if let Err(error) = closed {
                eprintln!("ptest: {error:?}");
            }
            panic::resume_unwind(payload)
        }
    }
}

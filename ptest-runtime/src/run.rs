//! The life of a test: open, body, close.

use std::future::Future;
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
    match runtime.block_on(body(&mut cx)) {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
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
    match runtime.block_on(params(&mut cx)) {
        Ok(params) => body(params),
        Err(error) => panic!("{error:?}"),
    }
}

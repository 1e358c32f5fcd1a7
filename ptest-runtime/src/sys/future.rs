//! Futures without a name, what they panicked with, and the end of the runtimes that ran them.

use std::any::Any;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Runtime;

/// A future whose type has no name.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How long blocking tasks may take to end.
const BLOCKING_TASKS: Duration = Duration::from_millis(500);

/// Ends a runtime with all its tasks; a blocking task that does not end is left to itself.
pub(crate) fn end_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(BLOCKING_TASKS);
}

/// The message of a panic, where it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or_default().to_owned()
}

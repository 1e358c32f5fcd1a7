//! Code of the user's that makes a template: on a thread and a runtime of its own, which end with it, and with them the
//! connections that it left open. A panic of it is an error like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::{end_runtime, panic_message};
use crate::error::Cause;

/// Runs it to its end.
pub(crate) async fn apart(work: impl AsyncFnOnce() -> Result<(), Cause> + Send + 'static) -> Result<(), Cause> {
    let (reply, outcome) = oneshot::channel();
    std::thread::Builder::new().name("ptest template".to_owned()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work())));
            end_runtime(runtime);
            outcome.unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_message(&*panic)).into()))
        }));
        let _ = reply.send(outcome.unwrap_or_else(|_| Err("what it left behind panicked".into())));
    })?;
    outcome.await.map_err(|_| "its thread has ended")?
}

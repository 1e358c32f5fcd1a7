//! The body's tokio runtime, as `#[tokio::test]` makes it.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::test::{Flavor, Test};

/// How long blocking tasks may take to end when the body has returned.
const BLOCKING_TASKS: Duration = Duration::from_millis(500);

pub(crate) fn build(test: &Test) -> std::io::Result<Runtime> {
    let mut builder = match test.flavor {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread(workers) => {
            let mut builder = Builder::new_multi_thread();
            if let Some(workers) = workers {
                builder.worker_threads(workers);
            }
            builder
        }
    };
    builder.enable_all().build()
}

/// Ends the runtime with all its tasks; a blocking task that does not end is left to itself.
pub(crate) fn end(runtime: Runtime) {
    runtime.shutdown_timeout(BLOCKING_TASKS);
}

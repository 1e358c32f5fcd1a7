//! The body's tokio runtime, as `#[tokio::test]` makes it.
//!
//! A paused clock jumps to the next timer whenever the runtime has nothing to do, and a runtime that waits for a
//! database has nothing to do: without care, a pool's acquire times out while its request is under way. So the jump is
//! held back until the sandbox has answered everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::pg::slot::Prober;
use crate::spec::{Flavor, Test};

/// How long tasks may take to roll back what the body has dropped.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What holds a paused clock back: the sandboxes to ask, once there are any, and their activity when last asked.
#[derive(Debug, Default, Clone)]
pub(crate) struct ClockHold {
    sandboxes: Arc<Mutex<Vec<(Prober, u64)>>>,
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) sqlite: crate::sqlite::quiet::Quiet,
}

/// The runtime of an `async fn`.
pub(crate) fn build(test: &Test, hold: &ClockHold) -> std::io::Result<Runtime> {
    build_as(test, test.flavor, hold)
}

/// The runtime of a plain `fn`, whose body keeps no runtime going: connections that were made for it need a thread that
/// does, or they never hear an answer. A paused clock allows none.
pub(crate) fn build_beside(test: &Test, hold: &ClockHold) -> std::io::Result<Runtime> {
    match test.flavor {
        Flavor::CurrentThread if !test.start_paused => build_as(test, Flavor::MultiThread(Some(1)), hold),
        flavor => build_as(test, flavor, hold),
    }
}

fn build_as(test: &Test, flavor: Flavor, hold: &ClockHold) -> std::io::Result<Runtime> {
    let mut builder = match flavor {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread(workers) => {
            let mut builder = Builder::new_multi_thread();
            if let Some(workers) = workers {
                builder.worker_threads(workers);
            }
            builder
        }
    };
    if test.start_paused {
        let hold = hold.clone();
        builder.on_thread_park(move || hold.before_park());
    }
    builder.enable_all().build()
}

/// Lets tasks say what they still have to say to the database, as long as it waits for that: what a driver drops in
/// mid-transaction is rolled back by a task.
pub(crate) fn settle(runtime: &Runtime, mut waits: impl FnMut() -> bool) {
    let started = Instant::now();
    while waits() && runtime.metrics().num_alive_tasks() > 0 && started.elapsed() < LAST_WORDS {
        runtime.block_on(tokio::task::yield_now());
        std::thread::sleep(Duration::from_micros(50));
    }
}

impl ClockHold {
    /// Pauses the clock of the current runtime, and holds it back for these sandboxes.
    pub(crate) fn pause(&self, sandboxes: Vec<Prober>) {
        *self.lock() = sandboxes.into_iter().map(|sandbox| (sandbox, 0)).collect();
        tokio::time::pause();
    }

    /// Runs the body where its wakings can be seen.
    pub(crate) async fn watch<T>(&self, body: impl Future<Output = T>) -> T {
        #[cfg(feature = "sqlx-sqlite")]
        return self.sqlite.watch(body).await;
        #[cfg(not(feature = "sqlx-sqlite"))]
        body.await
    }

    /// A blocking task keeps tokio's clock from jumping while it runs. So one is started whenever the sandbox is at work,
    /// or has done any since the last time: its answer may not have reached the body yet.
    fn before_park(&self) {
        #[cfg(feature = "sqlx-sqlite")]
        self.sqlite.before_park();
        for (prober, count) in &mut *self.lock() {
            let Some(activity) = prober.probe() else { continue };
            if !activity.busy && activity.count == *count {
                continue;
            }
            let prober = prober.clone();
            *count = activity.count;
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn_blocking(move || {
                    while prober.probe().is_some_and(|activity| activity.busy) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Prober, u64)>> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

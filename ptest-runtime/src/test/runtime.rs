//! The body's tokio runtime, as `#[tokio::test]` makes it.
//!
//! A paused clock jumps to the next timer whenever the runtime has nothing to do, and a runtime that waits for a
//! database has nothing to do: without care, a pool's acquire times out while its request is under way. So the jump is
//! held back until every database has answered everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::engine;
use crate::spec::{Flavor, TestSpec};
use crate::test::quiet::Quiet;

/// How long tasks may take to roll back what the body has dropped.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What holds a paused clock back: the databases to ask, once there are any, and their activity when last asked.
#[derive(Debug, Default, Clone)]
pub(crate) struct ClockHold {
    asked: Arc<Mutex<Vec<(Database, u64)>>>,
    quiet: Quiet,
}

type Database = Arc<dyn engine::Handle>;

/// The runtime of a test.
pub(crate) fn build(test: &TestSpec, hold: &ClockHold) -> std::io::Result<Runtime> {
    let mut builder = match test.flavor {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread(builder, workers) => {
            let mut builder = builder();
            if let Some(workers) = workers {
                builder.worker_threads(workers);
            }
            builder
        }
    };
    if test.start_paused.is_some() {
        let hold = hold.clone();
        builder.on_thread_park(move || hold.before_park());
    }
    builder.enable_all().build()
}

/// Runs the body of a plain `fn` beside the runtime. The body drives no runtime, so a thread does: without one the
/// connections that were made for it never receive an answer. A paused clock allows none, and workers need none.
pub(crate) fn run_beside<T>(test: &TestSpec, runtime: &Runtime, body: impl FnOnce() -> T) -> std::io::Result<T> {
    // A pool needs a runtime where it is dropped; the body may all the same start its own.
    let _inside = runtime.enter();
    if test.start_paused.is_some() || matches!(test.flavor, Flavor::MultiThread(..)) {
        return Ok(body());
    }
    std::thread::scope(|scope| {
        // Dropped when the body has ended, by a panic too.
        let (_running, ended) = oneshot::channel::<()>();
        let driver = std::thread::Builder::new().name("ptest runtime".to_owned());
        driver.spawn_scoped(scope, || runtime.block_on(ended))?;
        Ok(body())
    })
}

/// Lets tasks say what they still have to say to the database, as long as it waits for that: what a driver drops in
/// mid-transaction is rolled back by a task.
pub(crate) fn settle(runtime: Option<&Runtime>, mut waits: impl FnMut() -> bool) {
    let started = Instant::now();
    let has_tasks = || runtime.is_none_or(|runtime| runtime.metrics().num_alive_tasks() > 0);
    while waits() && has_tasks() && started.elapsed() < LAST_WORDS {
        if let Some(runtime) = runtime {
            runtime.block_on(tokio::task::yield_now());
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

impl ClockHold {
    /// Pauses the clock of the current runtime, and holds it back for these databases.
    pub(crate) fn pause(&self, pause: fn(), databases: Vec<Database>) {
        if databases.iter().any(|database| database.works_unseen()) {
            self.quiet.start();
        }
        *self.lock() = databases.into_iter().map(|database| (database, 0)).collect();
        pause();
    }

    /// Runs the body where its wakings can be seen.
    pub(crate) async fn watch<T>(&self, body: impl Future<Output = T>) -> T {
        self.quiet.watch(body).await
    }

    /// A blocking task keeps tokio's clock from jumping while it runs. So one is started whenever a database is at work,
    /// or has done any since the last time: its answer may not have reached the body yet.
    fn before_park(&self) {
        self.quiet.before_park();
        for (database, count) in &mut *self.lock() {
            let Some(activity) = database.activity() else { continue };
            if !activity.busy && activity.count == *count {
                continue;
            }
            let database = Arc::clone(database);
            *count = activity.count;
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn_blocking(move || {
                    while database.activity().is_some_and(|activity| activity.busy) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Database, u64)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

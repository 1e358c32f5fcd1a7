//! A paused clock, while a database of the test is a library: no request can be seen on its way, so the clock jumps only
//! when nothing has woken the test for a while.
//!
//! The wait is the runtime's own thread's, before it parks: tokio does not let the clock jump when it was woken since.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::runtime::Handle;

/// How often to look whether a task was woken; of the body itself ptest is told.
const STEP: Duration = Duration::from_micros(200);

/// As many looks take many times as long as such a library does to answer. The clock may jump before a slower statement has ended. It is
/// the price of every jump. Looks and not time, for on a busy machine the library's thread waits for its turn, as this one does.
const LOOKS: u32 = 50;

/// Holds the clock of one runtime back, once it is told to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Quiet(Arc<Bell>);

#[derive(Debug, Default)]
struct Bell {
    in_use: AtomicBool,
    woken: Mutex<bool>,
    rung: Condvar,
}

impl Quiet {
    pub(crate) fn start(&self) {
        self.0.in_use.store(true, Ordering::Relaxed);
    }

    /// Called by the runtime's thread when it has nothing to do.
    pub(crate) fn before_park(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.0.in_use.load(Ordering::Relaxed) {
            return;
        }
        let mut woken = self.0.lock();
        for _ in 0..LOOKS {
            if *woken {
                return;
            }
            if runtime.metrics().global_queue_depth() > 0 {
                // A task was woken, and the runtime may not have heard of it: the clock does not jump while this runs.
                runtime.spawn_blocking(|| std::thread::sleep(STEP));
                return;
            }
            (woken, _) = self.0.rung.wait_timeout(woken, STEP).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs the body, and notes when something wakes it.
    pub(crate) async fn watch<T>(&self, body: impl Future<Output = T>) -> T {
        let mut body = pin!(body);
        poll_fn(|cx| {
            if !self.0.in_use.load(Ordering::Relaxed) {
                return body.as_mut().poll(cx);
            }
            *self.0.lock() = false;
            let waker = Waker::from(Arc::new(Ringer { bell: Arc::clone(&self.0), body: cx.waker().clone() }));
            body.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the body, and the thread that waits before it parks.
struct Ringer {
    bell: Arc<Bell>,
    body: Waker,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        // Under the lock: who sees that the body was woken can rely on the runtime having heard of it.
        let mut woken = self.bell.lock();
        *woken = true;
        self.body.wake_by_ref();
        drop(woken);
        self.bell.rung.notify_one();
    }
}

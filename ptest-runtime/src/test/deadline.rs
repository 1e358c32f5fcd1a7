//! The deadline of a test: wall time since its body began, measured on a thread of its own, whatever the body's clock
//! says. What comes before the body, such as the first start of a server, is no fault of the test's.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

/// A deadline; dropped, it is called off.
#[derive(Debug)]
pub(crate) struct Deadline {
    begin: Sender<()>,
    passed: oneshot::Receiver<()>,
    is_late: Arc<AtomicBool>,
}

impl Deadline {
    /// Makes a deadline that begins later. When the time is up, `look` is called while the body still runs, and `interrupt`
    /// when it is known to be late, so that a body that blocks its thread in a query comes back with an error.
    pub(crate) fn new(
        limit: Duration,
        look: impl FnOnce() + Send + 'static,
        interrupt: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Deadline> {
        let (begin, begun) = channel::<()>();
        let (pass, passed) = oneshot::channel();
        let is_late = Arc::new(AtomicBool::new(false));
        let late = Arc::clone(&is_late);
        std::thread::Builder::new().name("ptest deadline".to_owned()).spawn(move || {
            if begun.recv().is_ok() && begun.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // First: a body may end while it is looked at.
                late.store(true, Ordering::Relaxed);
                look();
                let _ = pass.send(());
                interrupt();
            }
        })?;
        Ok(Deadline { begin, passed, is_late })
    }

    /// What starts the clock, when it is sent something.
    pub(crate) fn begin(&self) -> Sender<()> {
        self.begin.clone()
    }

    /// Runs a future until it is done, or the time is up (`None`).
    pub(crate) async fn run<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), &mut self.passed).await {
            Either::Left((value, _)) => Some(value),
            Either::Right((Ok(()), _)) => None,
            // Called off.
            Either::Right((Err(_), future)) => Some(future.await),
        }
    }

    /// Whether the time is up.
    pub(crate) fn has_passed(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

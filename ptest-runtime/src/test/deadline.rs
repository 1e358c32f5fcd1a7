//! The deadline of a test: wall time since its body began, measured on a thread of its own, whatever the body's clock
//! says. What comes before the body, such as the first start of a server, is no fault of the test's.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

/// A deadline; dropped, it is called off.
#[derive(Debug)]
pub(crate) struct Deadline {
    begin: Sender<()>,
    passed: oneshot::Receiver<()>,
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
        std::thread::Builder::new().name("ptest deadline".to_owned()).spawn(move || {
            if begun.recv().is_ok() && begun.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                look();
                let _ = pass.send(());
                interrupt();
            }
        })?;
        Ok(Deadline { begin, passed })
    }

    /// What starts the clock, when it is sent something.
    pub(crate) fn begin(&self) -> Sender<()> {
        self.begin.clone()
    }

    /// Runs a future until it is done, or the time is up (`None`).
    pub(crate) async fn run<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            Ok(()) = &mut self.passed => None,
        }
    }

    /// Whether the time is up.
    pub(crate) fn has_passed(&mut self) -> bool {
        self.passed.try_recv().is_ok()
    }
}

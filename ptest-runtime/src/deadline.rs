//! The deadline of a test: wall time, measured on a thread of its own, whatever the body's clock says.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

/// A running deadline; dropped, it is called off.
#[derive(Debug)]
pub(crate) struct Deadline {
    _alive: Sender<()>,
    passed: oneshot::Receiver<()>,
}

impl Deadline {
    /// Starts the clock. `interrupt` is called when the time is up, so that a body that blocks its thread in a query
    /// comes back with an error.
    pub(crate) fn start(limit: Duration, interrupt: impl FnOnce() + Send + 'static) -> std::io::Result<Deadline> {
        let (alive, ended) = channel::<()>();
        let (pass, passed) = oneshot::channel();
        std::thread::Builder::new().name("ptest deadline".to_owned()).spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                let _ = pass.send(());
                interrupt();
            }
        })?;
        Ok(Deadline { _alive: alive, passed })
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

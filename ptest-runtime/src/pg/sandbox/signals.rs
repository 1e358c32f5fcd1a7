//! Signals to sessions: the end of the test, and cancel requests.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
pub(super) struct Signals {
    closed: Cell<bool>,
    cancelled: RefCell<HashSet<u32>>,
    wakers: RefCell<Vec<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// The test is over.
    Closed,
    /// The client wants what it runs, or waits for, to be cancelled.
    Cancelled,
}

impl Signals {
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    pub(super) fn cancel(&self, session: u32) {
        self.cancelled.borrow_mut().insert(session);
        self.wake();
    }

    /// Forgets a cancel request that came when nothing ran.
    pub(super) fn forget(&self, session: u32) {
        self.cancelled.borrow_mut().remove(&session);
    }

    /// The signal for a session; without one, its task is woken when there is.
    pub(super) fn poll(&self, session: u32, cx: &mut Context<'_>) -> Option<Signal> {
        if self.closed.get() {
            return Some(Signal::Closed);
        }
        if self.cancelled.borrow_mut().remove(&session) {
            return Some(Signal::Cancelled);
        }
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|w| w.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        None
    }

    pub(super) async fn wait(&self, session: u32) -> Signal {
        poll_fn(|cx| self.poll(session, cx).map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Waits for the end of the test.
    pub(super) async fn closed(&self) {
        // No session has the number 0, so no cancel request is taken from anyone.
        self.wait(0).await;
    }

    fn wake(&self) {
        for waker in self.wakers.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

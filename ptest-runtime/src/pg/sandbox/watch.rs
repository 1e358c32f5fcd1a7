//! The watch over the end of a body: which sessions are not done when it has returned.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Shared;
use super::control::Block;
use super::conversation::Client;
use super::session::Session;
use crate::audit::Straggler;

/// What the thread of a test and its sandbox tell each other without a message.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    over: AtomicBool,
    in_turn: AtomicBool,
}

impl Watch {
    /// Notes that the body has returned.
    pub(crate) fn body_is_over(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether the body has returned.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn take_turn(&self, begins: bool) {
        self.in_turn.store(begins, Ordering::Relaxed);
    }

    /// Whether a session is in a transaction, or runs something.
    pub(crate) fn is_in_turn(&self) -> bool {
        self.in_turn.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Notes a session that ends otherwise than by its client's will, or in mid-transaction when the body has returned;
    /// `busy`: its client waits for something.
    pub(super) async fn note_straggler(&self, session: &Session, client: &mut Client, busy: bool) {
        let connected = !session.ended && !client.is_gone().await;
        let in_transaction = session.belief.block == Block::Open;
        let over = self.watch.is_over();
        if connected || (over && (busy || in_transaction)) {
            self.stragglers.borrow_mut().push(Straggler {
                session: Some(session.id),
                sql: session.last_sql.clone(),
                in_transaction,
                connected,
            });
        }
    }
}

//! What a client that has gone leaves behind: a batch in the middle, a transaction that is open, temporary objects.

use std::collections::BTreeSet;
use std::pin::pin;

use bytes::BytesMut;
use futures_util::future::{Either, select};

use super::Shared;
use super::answers::Lost;
use super::backend::{Backend, HIGH_WATER, broken};
use super::commit::DISCARD_TEMPORARY;
use super::control::{self, Block};
use super::expect::{Owner, What};
use super::frame;
use super::session::Session;

/// A transaction that is to be undone before anything else is done.
#[derive(Debug)]
pub(super) struct Leftover {
    /// Settings have been committed before it, which are to be read then; the names of those of the clients' own making.
    custom: Option<BTreeSet<String>>,
}

impl Backend {
    /// Brings the backend back to a batch boundary after its client has gone, and undoes what the client left open.
    pub(super) async fn abandon(&mut self, session: &mut Session) -> Result<(), Lost> {
        let mut nobody = BytesMut::new();
        while session.rest > 0 {
            let some = session.rest.min(HIGH_WATER.saturating_sub(self.link.out.len()));
            self.link.out.resize(self.link.out.len() + some, 0);
            session.rest -= some;
            self.relay(session, &mut nobody).await?;
            nobody.clear();
        }
        self.settle(session, &mut nobody).await?;
        if session.belief.block != Block::Idle {
            session.forget_portals();
            let open = session.belief.block == Block::Open;
            session.belief = session.belief.at(Block::Idle);
            let changed = session.belief.changes.first().is_some();
            let custom = changed.then(|| session.duties.borrow().custom.clone());
            self.leftover = Some(Leftover { custom });
            // What the client did so far may be of use: a database that is kept has it.
            if !open {
                self.undo_leftover();
            }
        }
        self.flush().await.map_err(broken)
    }

    /// Undoes what the last client has left open.
    pub(super) fn undo_leftover(&mut self) {
        if let Some(Leftover { custom }) = self.leftover.take() {
            self.link.commands(control::UNDO);
            if let Some(custom) = custom {
                self.link.snapshot(&custom);
            }
        }
    }

    async fn settle(&mut self, session: &mut Session, out: &mut BytesMut) -> Result<(), Lost> {
        session.put_local(&mut self.link, out);
        self.end_batch(session);
        while self.link.owes_client() {
            self.relay(session, out).await?;
            out.clear();
            // Only now it may turn out that the server waits for copy data.
            self.end_batch(session);
        }
        Ok(())
    }

    /// Sends what a client that is gone owes to the server.
    fn end_batch(&mut self, session: &mut Session) {
        if session.copying_in {
            frame::put(&mut self.link.out, b'f', |b| frame::put_cstr(b, b"the client is gone"));
            session.copying_in = false;
        }
        if session.batch_open && !session.awaiting {
            session.doomed = true;
            frame::put(&mut self.link.out, b'S', |_| {});
            self.link.expect(What::Sync, Owner::Client);
            session.awaiting = true;
        }
    }
}

impl Shared {
    /// Drops the temporary objects of a session that has ended, as soon as it has the turn.
    pub(super) async fn wait_to_discard(&self, session: &mut Session) {
        if !session.temporary {
            return;
        }
        if self.duties.borrow().temporary_of > 1 {
            self.duties.borrow_mut().temporary_of -= 1;
            return;
        }
        if let Either::Right((mut turn, _)) = select(pin!(self.signals.closed()), pin!(self.turns.wait())).await {
            self.discard_temporary(session, &mut turn).await;
        }
    }

    /// Drops the temporary objects of a session that has ended, when no session is left that may have some: they share one
    /// schema. The session holds the turn: whoever has it next may make some of the same names.
    pub(super) async fn discard_temporary(&self, session: &mut Session, turn: &mut Backend) {
        if !std::mem::take(&mut session.temporary) {
            return;
        }
        self.duties.borrow_mut().temporary_of -= 1;
        if self.duties.borrow().temporary_of > 0 {
            return;
        }
        // A transaction that its client has left open must not be kept with it.
        turn.undo_leftover();
        turn.link.commands(DISCARD_TEMPORARY);
        turn.link.commands(&control::KEEP.join(";"));
        if let Err(error) = turn.flush().await {
            self.give_up(&broken(error));
        }
    }
}

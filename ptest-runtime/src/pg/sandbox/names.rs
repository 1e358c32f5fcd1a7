//! What a session's names mean: its prepared statements and portals, as far as they are more than names to the sandbox.

use std::rc::Rc;

use super::control::Block;
use super::expect::{Exchange, Owner, What};
use super::frame::{self, Frame};
use super::session::Session;
use super::sql::{Kind, Statement};

/// A prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// `None`: to the sandbox it is no more than a name.
    pub(super) special: Option<Special>,
    /// The server analyses it, which settles the modes of the transaction, when it is prepared and when it is bound.
    pub(super) analysed: bool,
    /// There is nothing to run.
    pub(super) empty: bool,
}

/// A statement and the string that it stands in.
pub(super) type Special = Rc<(Statement, Vec<u8>)>;

/// A portal of a statement that is special or empty.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) prepared: Option<Special>,
    /// Under which name the session has prepared it.
    pub(super) statement: Vec<u8>,
    /// The parameters, where they matter.
    pub(super) values: Vec<Option<Vec<u8>>>,
    /// The sandbox has run it in the backend's place: then it gives no second answer.
    pub(super) done: bool,
}

/// What a name meant before a message of the client that has not been answered yet.
#[derive(Debug)]
pub(super) enum Before {
    Statement(Vec<u8>, Option<Prepared>),
    Portal(Vec<u8>, Option<Portal>),
}

impl Session {
    /// Names mean again what they did before the messages that have had no answer: the server skips them.
    pub(super) fn revert_names(&mut self) {
        while let Some(before) = self.unanswered.pop_back() {
            match before {
                Before::Statement(name, Some(statement)) => drop(self.statements.insert(name, statement)),
                Before::Statement(name, None) => drop(self.statements.remove(&name)),
                Before::Portal(name, Some(portal)) => drop(self.portals.insert(name, portal)),
                Before::Portal(name, None) => drop(self.portals.remove(&name)),
            }
        }
    }

    /// `CLOSE` closes portals like cursors.
    pub(super) fn note_close(&mut self, statement: &Statement, text: &[u8]) {
        match &statement.kind {
            _ if self.belief.block == Block::Failed => {}
            Kind::Close { name: Some(name) } => drop(self.portals.remove(&name.name(text))),
            Kind::Close { name: None } => self.forget_portals(),
            _ => {}
        }
    }

    /// Closes a name outside of a transaction, for which a server begins none; `false`: there is one, or a batch. The
    /// backend hears of it when the session next has something to run.
    pub(super) fn close_alone(&mut self, frame: &Frame) -> bool {
        let mut body = frame.body();
        let (kind, name) = (frame::take_u8(&mut body), frame::take_cstr(&mut body));
        match (kind, name) {
            // What the server may refuse is for the server.
            (_, Some(name)) if !(name.is_ascii() && body.is_empty()) => return false,
            _ if self.belief.block != Block::Idle || self.batch_open => return false,
            (Some(b'S'), Some(name)) => {
                self.statements.remove(name);
                self.closed.push(self.backend_name(name));
            }
            (Some(b'P'), Some(name)) => drop(self.portals.remove(name)),
            _ => return false,
        }
        true
    }

    /// Closes on the backend what the session has closed alone.
    pub(super) fn close_closed(&mut self, link: &mut Exchange) {
        if self.closed.is_empty() {
            return;
        }
        for name in self.closed.drain(..) {
            link.close(b'S', &name, What::One, Owner::Sandbox);
        }
        // Nothing else may follow soon that makes the server write its answer.
        frame::put(&mut link.out, b'H', |_| {});
    }

    pub(super) fn name_statement(&mut self, name: &[u8], statement: Option<Prepared>) {
        let before = match statement {
            Some(statement) => self.statements.insert(name.to_vec(), statement),
            None => self.statements.remove(name),
        };
        self.unanswered.push_back(Before::Statement(name.to_vec(), before));
    }

    pub(super) fn name_portal(&mut self, name: &[u8], portal: Option<Portal>) {
        let before = match portal {
            Some(portal) => self.portals.insert(name.to_vec(), portal),
            None => self.portals.remove(name),
        };
        self.unanswered.push_back(Before::Portal(name.to_vec(), before));
    }
}

//! A visit: with `sessions = "shared"`, a statement that runs inside the transaction of another session, which is idle.
//!
//! The holder of the turn lends the backend, and gets it back as it was: the visit lies above a savepoint of its own, under
//! the name that the rules use, which shadows the standing one; and the holder's settings are loaded again behind it. What
//! the holder then rolls back takes the visit along. That is noted, and is an error when the test ends.

use bytes::BytesMut;
use tokio::sync::oneshot;

use super::Shared;
use super::backend::Backend;
use super::control::{Block, KEEP, SAVEPOINT};
use super::conversation::{Client, End};
use super::frame::{self, Frame, Piece};
use super::session::Session;
use super::sql::{Kind, Statement};
use super::turn::Turn;

/// The backend, lent to a visitor. It goes back when this is dropped.
#[derive(Debug)]
pub(super) struct Loan(Option<(Turn, oneshot::Sender<Turn>)>);

impl Loan {
    /// The loan, and where its backend comes back.
    pub(super) fn new(turn: Turn) -> (Loan, oneshot::Receiver<Turn>) {
        let (back, returned) = oneshot::channel();
        (Loan(Some((turn, back))), returned)
    }

    fn backend(&mut self) -> Option<&mut Backend> {
        self.0.as_mut().map(|(turn, _)| &mut **turn)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some((turn, back)) = self.0.take() {
            let _ = back.send(turn);
        }
    }
}

/// A statement that was undone together with the transaction that it visited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undone {
    pub(crate) holder: u32,
    pub(crate) visitor: u32,
    pub(crate) sql: String,
}

/// The visits to the transaction of a session.
#[derive(Debug, Default)]
pub(super) struct Visits {
    ran: Vec<(u32, String)>,
    /// The client's savepoints, each with the number of visits before it.
    marks: Vec<(Vec<u8>, usize)>,
}

impl Visits {
    /// Notes what becomes of the visits by a statement of the holder, and returns those that it undoes.
    pub(super) fn statement(&mut self, statement: &Statement, sql: &[u8], failed: bool) -> Vec<(u32, String)> {
        match &statement.kind {
            Kind::Savepoint { name } => self.marks.push((name.name(sql), self.ran.len())),
            Kind::RollbackTo { name } => {
                let name = name.name(sql);
                if let Some(at) = self.marks.iter().rposition(|(mark, _)| *mark == name) {
                    self.marks.truncate(at + 1);
                    return self.ran.split_off(self.marks[at].1);
                }
            }
            Kind::Commit { .. } if !failed => *self = Visits::default(),
            Kind::Commit { .. } | Kind::Rollback { .. } => return self.end(),
            _ => {}
        }
        Vec::new()
    }

    /// The transaction is rolled back.
    pub(super) fn end(&mut self) -> Vec<(u32, String)> {
        std::mem::take(self).ran
    }
}

impl Session {
    /// Whether another session's statement may run inside this session's transaction, while its client does nothing.
    pub(super) fn may_be_visited(&self) -> bool {
        self.belief.block == Block::Open
            && !self.belief.mode.read_only
            && !(self.batch_open || self.awaiting || self.copying_in || self.touched)
    }

    /// Whether what a message begins may run inside another session's transaction: not if it is transaction control.
    pub(super) fn may_visit(&self, first: &Piece) -> bool {
        let (Piece::Frame(frame) | Piece::Head(frame)) = first else { return false };
        self.belief.block == Block::Idle && !self.belief.mode.read_only && self.is_plain(frame)
    }

    fn is_plain(&self, frame: &Frame) -> bool {
        let mut body = frame.body();
        let text = match frame.tag() {
            b'Q' => frame::take_cstr(&mut body),
            b'P' => frame::take_cstr(&mut body).and_then(|_| frame::take_cstr(&mut body)),
            b'B' => {
                let name = frame::take_cstr(&mut body).and_then(|_| frame::take_cstr(&mut body));
                let prepared = name.and_then(|name| self.statements.get(name));
                return prepared.is_none_or(|prepared| prepared.special.as_ref().is_none_or(|p| is_plain(&p.0)));
            }
            tag => return matches!(tag, b'C' | b'D'),
        };
        text.is_some_and(|text| self.split(text).iter().all(is_plain))
    }

    /// Notes a visit to this session's transaction.
    pub(super) fn visited(&mut self, visitor: u32, sql: String) {
        self.visits.ran.push((visitor, sql));
    }
}

/// Whether a statement means the same inside a transaction.
fn is_plain(statement: &Statement) -> bool {
    use Kind::{Fetch, Other, Reset, Set, Show};
    matches!(statement.kind, Other | Fetch | Show { .. } | Set { local: false, .. } | Reset { .. })
}

impl Backend {
    /// Puts the visit's savepoint on top of what the holder has done, and returns the holder.
    async fn begin_visit(&mut self, visitor: &mut Session, out: &mut BytesMut) -> Result<u32, End> {
        self.quiet().await.map_err(End::Lost)?;
        let holder = self.link.loaded.session;
        self.link.commands(&format!("SAVEPOINT {SAVEPOINT}"));
        visitor.visiting = true;
        visitor.kept = false;
        self.load(visitor, out).await.map_err(End::Lost)?.map_err(End::Refused)?;
        Ok(holder)
    }

    /// Leaves the holder's transaction as it was, but for what the visit has done.
    async fn end_visit(&mut self, visitor: &mut Session, holder: u32) -> Result<(), End> {
        self.quiet().await.map_err(End::Lost)?;
        let loaded = &mut self.link.loaded;
        let target = loaded.others.remove(&holder).unwrap_or_default();
        let mut commands = loaded.settings.change_to(&target);
        commands.push(KEEP[0].to_owned());
        let before = std::mem::replace(&mut loaded.settings, target);
        let other = std::mem::replace(&mut loaded.session, holder);
        loaded.others.insert(other, before);
        visitor.visiting = false;
        self.link.commands(&commands.join(";"));
        self.quiet().await.map_err(End::Lost)
    }
}

impl Shared {
    /// Runs a statement, or a batch, inside the holder's transaction.
    pub(super) async fn visit(
        &self,
        session: &mut Session,
        client: &mut Client,
        mut loan: Loan,
        first: &Piece,
    ) -> Result<(), End> {
        let Some(backend) = loan.backend() else { return Err(End::Disconnected) };
        let holder = match backend.begin_visit(session, &mut client.out).await {
            Err(End::Refused(error)) => {
                // The holder's settings are still loaded.
                session.visiting = false;
                backend.link.commands(KEEP[0]);
                backend.quiet().await.map_err(End::Lost)?;
                return Err(End::Refused(error));
            }
            other => other?,
        };
        let result = self.converse(session, client, backend, Some(first)).await.map(drop);
        if !matches!(result, Err(End::Lost(_))) {
            backend.end_visit(session, holder).await?;
        }
        if session.kept {
            let visit = (session.id, session.last_sql.clone());
            self.visits.borrow_mut().push(visit);
        }
        result
    }

    /// Lends the backend to those who wait to visit, in order of arrival.
    pub(super) async fn lend(&self, session: &mut Session, mut turn: Turn) -> Result<Turn, End> {
        while let Some(visitor) = self.turns.next_visitor() {
            let (loan, returned) = Loan::new(turn);
            let _ = visitor.send(loan);
            // A visitor that has gone drops the loan, and that brings it back as well.
            turn = returned.await.map_err(|_| End::Closed)?;
            for (visitor, sql) in self.visits.take() {
                session.visited(visitor, sql);
            }
            self.turns.hold(session.id);
        }
        Ok(turn)
    }

    /// Notes which visits the session's transaction took along.
    pub(super) fn note_undone(&self, holder: u32, visits: Vec<(u32, String)>) {
        let undone = visits.into_iter().map(|(visitor, sql)| Undone { holder, visitor, sql });
        self.undone.borrow_mut().extend(undone);
    }
}

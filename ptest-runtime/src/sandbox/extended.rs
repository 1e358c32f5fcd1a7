//! The client's messages of the extended protocol: private names for prepared statements, and the rules at Execute.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use super::control::{self, Action, Answer, Block, Course, Place};
use super::expect::{Exchange, Owner, What};
use super::frame::{self, Frame, Report};
use super::script::{REFUSED, Script};
use super::session::{Malformed, Session};
use super::sql::{Hints, Kind, Statement};

/// A statement that must be more to the sandbox than a name, and the string that it stands in.
pub(super) type Prepared = Rc<(Statement, Vec<u8>)>;

/// A portal of such a statement.
#[derive(Debug)]
pub(super) struct Portal {
    prepared: Prepared,
    /// The sandbox has run it in the backend's place: then it gives no second answer.
    done: bool,
}

/// What a name meant before a message of the client that has not been answered yet.
#[derive(Debug)]
pub(super) enum Before {
    Statement(Vec<u8>, Option<Option<Prepared>>),
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

    fn name_statement(&mut self, name: &[u8], statement: Option<Option<Prepared>>) {
        let before = match statement {
            Some(statement) => self.statements.insert(name.to_vec(), statement),
            None => self.statements.remove(name),
        };
        self.unanswered.push_back(Before::Statement(name.to_vec(), before));
    }

    fn name_portal(&mut self, name: &[u8], portal: Option<Portal>) {
        let before = match portal {
            Some(portal) => self.portals.insert(name.to_vec(), portal),
            None => self.portals.remove(name),
        };
        self.unanswered.push_back(Before::Portal(name.to_vec(), before));
    }

    pub(super) fn parse(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (name, text) = (cstr(&mut body)?, cstr(&mut body)?);
        self.note(text);
        let statements = self.split(text);
        let backend_name = self.backend_name(name);
        let on_error = self.open_batch(link);
        // The unnamed statement is replaced without a word; ours has a name.
        if name.is_empty() && std::mem::replace(&mut self.unnamed_statement, true) {
            link.close(b'S', &backend_name, Owner::Part, on_error);
        }
        let mut sent = text.to_vec();
        if let [only] = &statements[..] {
            if let Course::Sent(names) = self.action(only, text, Place::InBatch, link).course
                && !names.is_empty()
            {
                sent = Script::of_names(text, names).sql.unwrap_or(sent);
            }
            sent = carrier(&only.kind).map_or(sent, <[u8]>::to_vec);
        }
        let prepared = statements.into_iter().next().filter(|s| s.kind != Kind::Other || s.hints != Hints::empty());
        // A server settles the modes of the transaction when it analyses a query.
        self.belief.queried |= is_query(text);
        self.name_statement(name, Some(prepared.map(|only| Rc::new((only, text.to_vec())))));
        frame::put(&mut link.out, b'P', |b| {
            frame::put_cstr(b, &backend_name);
            frame::put_cstr(b, &sent);
            b.extend_from_slice(body);
        });
        link.expect(What::One, Owner::Client, on_error);
        Ok(())
    }

    pub(super) fn bind(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (portal, name) = (cstr(&mut body)?, cstr(&mut body)?);
        let backend_name = self.backend_name(name);
        let on_error = self.open_batch(link);
        self.dirty = true;
        self.unnamed_portal |= portal.is_empty();
        match self.statements.get(name).cloned() {
            Some(Some(prepared)) => {
                self.look_at(&prepared.0, &prepared.1, &bound(body).unwrap_or_default());
                self.name_portal(portal, Some(Portal { prepared, done: false }));
            }
            _ => {
                self.belief.queried = true;
                self.name_portal(portal, None);
            }
        }
        let start = link.out.len();
        frame::put(&mut link.out, b'B', |b| {
            frame::put_cstr(b, portal);
            frame::put_cstr(b, &backend_name);
            b.extend_from_slice(body);
        });
        // Of a large frame this is the head: its length covers what is still to come.
        let total = frame.total() + backend_name.len() - name.len();
        let length = u32::try_from(total - 1).map_err(|_| Malformed("a message is too long".to_owned()))?;
        link.out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        link.expect(What::One, Owner::Client, on_error);
        Ok(())
    }

    pub(super) fn describe(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let on_error = self.open_batch(link);
        self.put_renamed(frame, b'D', link)?;
        link.expect(What::Describe, Owner::Client, on_error);
        Ok(())
    }

    pub(super) fn close(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let on_error = self.open_batch(link);
        let mut body = frame.body();
        let (kind, name) = (frame::take_u8(&mut body), cstr(&mut body)?);
        if kind == Some(b'S') {
            self.name_statement(name, None);
        } else {
            self.name_portal(name, None);
        }
        self.put_renamed(frame, b'C', link)?;
        link.expect(What::One, Owner::Client, on_error);
        Ok(())
    }

    pub(super) fn execute(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let portal = cstr(&mut body)?;
        let on_error = self.open_batch(link);
        self.dirty = true;
        let (prepared, done) = match self.portals.get_mut(portal) {
            Some(portal) => (Some(Rc::clone(&portal.prepared)), portal.done),
            None => (None, false),
        };
        let rows = body.try_get_u32().map_err(|_| cut_short())?;
        let ends = prepared.as_ref().is_some_and(|p| matches!(p.0.kind, Kind::Commit { .. } | Kind::Rollback { .. }));
        let action = prepared.map(|p| match p.0.kind {
            Kind::Show { .. } => self.action(&p.0, &p.1, Place::InBatch, link),
            _ if done && self.belief.block != Block::Failed => {
                let what = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(portal));
                control::refuse(Report::error("55000", what), self.belief)
            }
            _ => self.action(&p.0, &p.1, Place::InBatch, link),
        });
        let Some(Action { warning, course, after, on_error: refused }) = action else {
            link.out.extend_from_slice(frame.bytes());
            link.expect(What::Execute { refused: None }, Owner::Client, on_error);
            return Ok(());
        };
        if let Some(warning) = &warning {
            let mut bytes = BytesMut::new();
            warning.put(&mut bytes);
            link.expect(What::Local { bytes, belief: self.belief }, Owner::Client, on_error);
        }
        let mut bytes = BytesMut::new();
        let local = |bytes| What::Local { bytes, belief: after };
        let (commands, answer) = match course {
            Course::Replaced(commands, answer) => (commands, answer),
            Course::Sent(_) => {
                if let Some(portal) = self.portals.get_mut(portal) {
                    portal.done |= warning.is_some();
                }
                link.out.extend_from_slice(frame.bytes());
                link.expect(What::Execute { refused: None }, Owner::Client, refused);
                link.expect(local(BytesMut::new()), Owner::Client, refused);
                self.belief = after;
                return Ok(());
            }
        };
        if ends && !done {
            self.forget_portals();
            link.close(b'P', b"", Owner::Part, refused);
        } else if let Some(portal) = self.portals.get_mut(portal) {
            portal.done = true;
        }
        for command in &commands {
            link.commands_in_batch(command, None, refused);
        }
        let suspended = |out: &mut BytesMut| frame::put(out, b's', |_| {});
        match answer {
            Answer::Row { .. } if done => frame::put_tag(&mut bytes, "SHOW"),
            Answer::Row { value, .. } if rows == 1 => {
                frame::put_text_row(&mut bytes, &value);
                suspended(&mut bytes);
            }
            Answer::Error(report) => link.commands_in_batch(REFUSED, Some(report), refused),
            answer => answer.put(false, &mut bytes),
        }
        self.belief = after;
        link.expect(local(bytes), Owner::Client, refused);
        Ok(())
    }

    pub(super) fn sync(&mut self, frame: &Frame, link: &mut Exchange) {
        link.out.extend_from_slice(frame.bytes());
        link.expect(What::Sync, Owner::Client, self.belief.block);
        self.skipping = false;
        self.copying_in = false;
        self.awaiting = true;
    }

    /// Notes that a batch is open, and returns the block that an error in it leads to.
    fn open_batch(&mut self, link: &mut Exchange) -> Block {
        self.begin_batch(link);
        self.batch_open = true;
        self.belief.block.after_error()
    }

    fn put_renamed(&self, frame: &Frame, tag: u8, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let kind = frame::take_u8(&mut body).ok_or_else(cut_short)?;
        let name = cstr(&mut body)?;
        let name = if kind == b'S' { self.backend_name(name) } else { name.to_vec() };
        frame::put(&mut link.out, tag, |b| {
            b.extend_from_slice(&[kind]);
            frame::put_cstr(b, &name);
        });
        Ok(())
    }
}

/// A prepared control statement exists on the backend in the shape of one that fails and describes itself alike; it is
/// never executed there.
fn carrier(kind: &Kind) -> Option<&'static [u8]> {
    match kind {
        Kind::Begin { .. } | Kind::SetTransaction { .. } => Some(b"SAVEPOINT _ptest_carrier"),
        // These may be bound in a failed transaction.
        Kind::Commit { .. } | Kind::Rollback { .. } | Kind::PrepareTransaction => Some(control::UNDO.as_bytes()),
        _ => None,
    }
}

/// Whether a text begins as what the server analyses with a snapshot.
fn is_query(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 9] =
        [b"select", b"insert", b"update", b"delete", b"merge", b"values", b"with", b"table", b"explain"];
    let text = text.trim_ascii_start();
    text.first() == Some(&b'(')
        || WORDS.iter().any(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}

/// The values in the body of a Bind, behind its names.
fn bound(mut body: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let formats = body.try_get_u16().ok()?;
    body = body.get(usize::from(formats) * 2..)?;
    let count = body.try_get_u16().ok()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let value = match usize::try_from(body.try_get_i32().ok()?) {
            Ok(length) => {
                let (value, rest) = body.split_at_checked(length)?;
                body = rest;
                Some(value)
            }
            Err(_) => None,
        };
        values.push(value);
    }
    Some(values)
}

fn cstr<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    frame::take_cstr(body).ok_or_else(cut_short)
}

fn cut_short() -> Malformed {
    Malformed("invalid message format".to_owned())
}

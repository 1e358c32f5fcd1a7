//! The client's messages of the extended protocol: private names for prepared statements, and the rules at Execute.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use super::control::{self, Action, Answer, Block, Course, Place};
use super::expect::{Exchange, Owner, What};
use super::frame::{self, Frame};
use super::script::{REFUSED, Script};
use super::session::{Malformed, Session};
use super::sql::{Hints, Kind, Statement};

/// A statement that must be more to the sandbox than a name, and the string that it stands in.
pub(super) type Prepared = Rc<(Statement, Vec<u8>)>;

impl Session {
    pub(super) fn parse(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (name, text) = (cstr(&mut body)?, cstr(&mut body)?);
        self.note(text);
        let statements = self.split(text);
        let backend_name = self.backend_name(name);
        let on_error = self.open_batch(link);
        // The unnamed statement is replaced without a word; ours has a name.
        if name.is_empty() && self.statements.contains_key(name) {
            link.close(b'S', &backend_name, Owner::Part, on_error);
        }
        let mut sent = text.to_vec();
        if let [only] = &statements[..] {
            if let Course::Sent(names) = self.action(only, text, Place::Alone, link).course
                && !names.is_empty()
            {
                sent = Script::of_names(text, names).sql.unwrap_or(sent);
            }
            sent = carrier(&only.kind).map_or(sent, <[u8]>::to_vec);
        }
        let prepared = statements.into_iter().next().filter(|s| s.kind != Kind::Other || s.hints != Hints::empty());
        // A server settles the modes of the transaction when it analyses a query.
        self.belief.queried |= prepared.as_ref().is_none_or(|s| s.kind == Kind::Other);
        self.statements.insert(name.to_vec(), prepared.map(|only| Rc::new((only, text.to_vec()))));
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
        match self.statements.get(name).cloned() {
            Some(Some(prepared)) => {
                self.look_at(&prepared.0, &prepared.1, &bound(body).unwrap_or_default());
                self.portals.insert(portal.to_vec(), prepared);
            }
            _ => {
                self.belief.queried = true;
                self.portals.remove(portal);
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
            self.statements.remove(name);
        } else {
            self.portals.remove(name);
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
        let prepared = self.portals.get(portal).cloned();
        let ends = prepared.as_ref().is_some_and(|p| matches!(p.0.kind, Kind::Commit { .. } | Kind::Rollback { .. }));
        // What ends a transaction ends the implicit one of a batch as well.
        let place = if self.executed || ends { Place::AmongOthers } else { Place::Alone };
        self.executed = !ends;
        let action = prepared.map(|p| self.action(&p.0, &p.1, place, link));
        let Some(Action { warning, course, after, on_error: refused }) = action else {
            link.out.extend_from_slice(frame.bytes());
            link.expect(What::Execute { refused: None }, Owner::Client, on_error);
            return Ok(());
        };
        let mut bytes = BytesMut::new();
        if let Some(warning) = &warning {
            warning.put(&mut bytes);
        }
        let local = |bytes| What::Local { bytes, belief: after };
        let (commands, answer) = match course {
            Course::Replaced(commands, answer) => (commands, answer),
            Course::Sent(_) => {
                if !bytes.is_empty() {
                    link.expect(What::Local { bytes, belief: self.belief }, Owner::Client, on_error);
                }
                link.out.extend_from_slice(frame.bytes());
                link.expect(What::Execute { refused: None }, Owner::Client, refused);
                link.expect(local(BytesMut::new()), Owner::Client, refused);
                self.belief = after;
                return Ok(());
            }
        };
        if ends {
            self.forget_portals();
        }
        for command in &commands {
            link.commands_in_batch(command, None, refused);
        }
        match answer {
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

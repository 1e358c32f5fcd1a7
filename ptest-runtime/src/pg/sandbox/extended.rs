//! The client's messages of the extended protocol: private names for prepared statements, and the rules at Execute.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use super::action::{self, Action, Answer, Course};
use super::commit::DECLARED;
use super::control::{self, Block, Place};
use super::expect::{Exchange, Owner, Run, What};
use super::frame::{self, Frame, Report};
use super::names::{Portal, Prepared};
use super::script::{REFUSED, Script};
use super::session::{Malformed, Session};
use super::sql::{self, Hints, Kind};

impl Session {
    pub(super) fn parse(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (name, text) = (cstr(&mut body)?, cstr(&mut body)?);
        self.note(text);
        let statements = self.split(text);
        let backend_name = self.backend_name(name);
        self.open_batch(link);
        // The unnamed statement is replaced without a word; ours has a name.
        if name.is_empty() && std::mem::replace(&mut self.unnamed_statement, true) {
            link.close(b'S', &backend_name, What::One, Owner::Part);
        }
        let mut script = None;
        let mut sent = text;
        if let [only] = &statements[..] {
            if let Course::Sent(names) = self.action(only, text, Place::InBatch, &[], link).course {
                script = Script::of_names(text, names);
            }
            sent = carrier(&only.kind).unwrap_or(sent);
        }
        let standard = self.belief.defaults.standard_strings;
        let analysed = matches!(&statements[..], [only] if sql::is_analysed(&text[only.range.clone()], standard));
        let empty = statements.is_empty();
        let special = statements.into_iter().next().filter(|s| s.kind != Kind::Other || s.hints != Hints::empty());
        let special = special.map(|only| Rc::new((only, text.to_vec())));
        self.name_statement(name, Some(Prepared { special, analysed, empty }));
        frame::put(&mut link.out, b'P', |b| {
            frame::put_cstr(b, &backend_name);
            frame::put_cstr(b, script.as_ref().and_then(|script| script.sql.as_deref()).unwrap_or(sent));
            b.extend_from_slice(body);
        });
        self.expect_one(analysed, script, link);
        Ok(())
    }

    pub(super) fn bind(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (portal, name) = (cstr(&mut body)?, cstr(&mut body)?);
        let backend_name = self.backend_name(name);
        self.open_batch(link);
        self.dirty = true;
        self.unnamed_portal |= portal.is_empty();
        let statement = self.statements.get(name).cloned();
        let analysed = statement.as_ref().is_some_and(|s| s.analysed || has_values(body));
        let kept =
            statement.filter(|s| s.empty || s.special.is_some()).map(|Prepared { special: prepared, .. }| {
                let mut values = Vec::new();
                if let Some(prepared) = &prepared {
                    if prepared.0.hints.contains(Hints::SET_CONFIG) {
                        values = bound(body).unwrap_or_default();
                    }
                    self.look_at(&prepared.0, &prepared.1, &values);
                }
                Portal { prepared, statement: name.to_vec(), values, done: false }
            });
        self.name_portal(portal, kept);
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
        self.expect_one(analysed, None, link);
        Ok(())
    }

    pub(super) fn describe(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        self.open_batch(link);
        self.put_renamed(frame, b'D', link)?;
        link.expect(What::Describe, Owner::Client);
        Ok(())
    }

    pub(super) fn close(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        if self.close_alone(frame) {
            let mut bytes = BytesMut::new();
            frame::put(&mut bytes, b'3', |_| {});
            link.expect(What::Local { bytes, belief: self.belief.clone() }, Owner::Client);
            return Ok(());
        }
        self.open_batch(link);
        let mut body = frame.body();
        let (kind, name) = (frame::take_u8(&mut body), cstr(&mut body)?);
        if kind == Some(b'S') {
            self.name_statement(name, None);
        } else {
            self.name_portal(name, None);
        }
        self.put_renamed(frame, b'C', link)?;
        link.expect(What::Name(None), Owner::Client);
        Ok(())
    }

    pub(super) fn execute(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        use Kind::{Commit, DiscardAll, PrepareTransaction, Rollback};
        let mut body = frame.body();
        let portal = cstr(&mut body)?;
        self.open_batch(link);
        self.dirty = true;
        let bound = self.portals.get(portal);
        let (prepared, done) = bound.map_or((None, false), |portal| (portal.prepared.clone(), portal.done));
        let values = bound.map(|portal| portal.values.clone()).unwrap_or_default();
        let empty = bound.is_some() && prepared.is_none();
        let rows = body.try_get_u32().map_err(|_| cut_short())?;
        let ends = prepared
            .as_ref()
            .is_some_and(|p| matches!(p.0.kind, Commit { .. } | Rollback { .. } | PrepareTransaction | DiscardAll));
        let control = ends || prepared.as_ref().is_some_and(|p| matches!(p.0.kind, Kind::Begin { .. }));
        let copies_in = prepared.as_ref().is_some_and(|p| matches!(p.0.kind, Kind::Copy { from_stdin: true, .. }));
        if let Some(p) = &prepared {
            self.note_close(&p.0, &p.1);
        }
        let action = prepared.as_ref().map(|p| match p.0.kind {
            Kind::Show { .. } => self.action(&p.0, &p.1, Place::InBatch, &[], link),
            _ if done && self.belief.block != Block::Failed => {
                let what = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(portal));
                action::refuse(Report::error("55000", what), &self.belief)
            }
            _ => self.action(&p.0, &p.1, Place::InBatch, &values, link),
        });
        let Some(Action { warning, course, mut after, on_error: refused }) = action else {
            link.out.extend_from_slice(frame.bytes());
            let runs = self.belief.block != Block::Failed && !empty;
            self.belief.queried |= runs;
            self.belief.piped |= runs;
            link.expect_or(What::Execute(Run::Statement), Owner::Client, &self.belief.failed());
            self.settle(link);
            return Ok(());
        };
        after.piped |= !control;
        if let Some(warning) = &warning {
            let mut bytes = BytesMut::new();
            warning.put(&mut bytes);
            link.expect(What::Local { bytes, belief: self.belief.clone() }, Owner::Client);
        }
        let mut bytes = BytesMut::new();
        let (commands, answer) = match course {
            Course::Replaced(commands, answer) => (commands, answer),
            Course::Sent(names) => {
                if let Some(portal) = self.portals.get_mut(portal) {
                    portal.done |= warning.is_some();
                }
                link.out.extend_from_slice(frame.bytes());
                let script = prepared.and_then(|p| Script::of_names(&p.1, names));
                link.expect_or(What::Execute(script.map_or(Run::Statement, Run::Renamed)), Owner::Client, &refused);
                self.copy_begun = copies_in;
                self.belief = after;
                self.settle(link);
                return Ok(());
            }
        };
        if ends && !done {
            self.forget_portals();
            link.close(b'P', b"", What::One, Owner::Part);
        } else if let Some(portal) = self.portals.get_mut(portal) {
            portal.done = true;
        }
        for command in &commands {
            let declares = answer == Answer::Tag(DECLARED);
            link.commands_in_batch(command, if declares { Run::Declaration } else { Run::Statement }, &refused);
        }
        if !ends
            && commands.iter().any(|command| command == control::UNDO)
            && let Some(bound) = self.portals.get(portal)
        {
            // It has taken the portal along, which the client may still describe.
            let name = self.backend_name(&bound.statement);
            frame::put(&mut link.out, b'B', |b| {
                frame::put_cstr(b, portal);
                frame::put_cstr(b, &name);
                b.extend_from_slice(&[0; 6]);
            });
            link.expect(What::One, Owner::Part);
        }
        let suspended = |out: &mut BytesMut| frame::put(out, b's', |_| {});
        match answer {
            Answer::Row { .. } if done => frame::put_tag(&mut bytes, "SHOW"),
            Answer::Row { value, .. } if rows == 1 => {
                frame::put_text_row(&mut bytes, &value);
                suspended(&mut bytes);
            }
            Answer::Error(report) => link.commands_in_batch(REFUSED, Run::Refused(report), &refused),
            answer => answer.put(false, &mut bytes),
        }
        self.belief = after.clone();
        link.expect(What::Local { bytes, belief: after }, Owner::Client);
        Ok(())
    }

    pub(super) fn sync(&mut self, frame: &Frame, link: &mut Exchange) {
        link.out.extend_from_slice(frame.bytes());
        link.expect(What::Sync, Owner::Client);
        self.skipping = false;
        self.copying_in = false;
        self.awaiting = true;
    }

    /// Notes that a batch is open.
    fn open_batch(&mut self, link: &mut Exchange) {
        self.begin_batch(link);
        self.batch_open = true;
    }

    /// The answer to a Parse or Bind of a statement that is `analysed` then.
    fn expect_one(&mut self, analysed: bool, script: Option<Box<Script>>, link: &mut Exchange) {
        if analysed && !self.belief.queried && self.belief.block != Block::Failed {
            self.belief.queried = true;
            link.expect_or(What::Name(script), Owner::Client, &self.belief.failed());
            self.settle(link);
        } else {
            link.expect(What::Name(script), Owner::Client);
        }
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

/// Whether the body of a Bind, behind its names, has values.
fn has_values(mut body: &[u8]) -> bool {
    let formats = body.try_get_u16().unwrap_or(0);
    body.get(usize::from(formats) * 2..).and_then(|mut rest| rest.try_get_u16().ok()).is_some_and(|count| count > 0)
}

/// The values in the body of a Bind, behind its names.
fn bound(mut body: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let formats = body.try_get_u16().ok()?;
    body = body.get(usize::from(formats) * 2..)?;
    let count = body.try_get_u16().ok()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let value = match usize::try_from(body.try_get_i32().ok()?) {
            Ok(length) => {
                let (value, rest) = body.split_at_checked(length)?;
                body = rest;
                Some(value.to_vec())
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

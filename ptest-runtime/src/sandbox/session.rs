//! A session, one virtual connection of a client: its state, and what becomes of each message it sends.
//!
//! Nothing here waits or reads a socket: messages go in, bytes and expected answers come out. The other direction is
//! in `answers`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bytes::BytesMut;

use super::control::{self, Answer, Block, Constraints, Place};
use super::expect::{Exchange, Owner, What};
use super::frame::{self, Frame, Piece};
use super::script::{REFUSED, Script};
use super::sql::{self, Hints, Kind, Statement};

/// What the client is told when its stream makes no sense; its session ends.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) String);

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u32,
    /// Stands before the name of every prepared statement of this session.
    pub(super) prefix: String,
    pub(super) block: Block,
    /// A query or a Sync is with the backend: the client's next messages wait for the answer, which decides what
    /// `COMMIT` in them means.
    pub(super) awaiting: bool,
    /// Extended messages have been sent, and no Sync yet.
    pub(super) batch_open: bool,
    /// After an error inside a batch: everything is dropped until the client's Sync.
    pub(super) skipping: bool,
    /// The backend takes copy data.
    pub(super) copying_in: bool,
    /// The batch may have changed something.
    pub(super) dirty: bool,
    /// The client is gone in the middle of a batch, which a server would not commit.
    pub(super) doomed: bool,
    /// How much the backend still lacks of a frame that was passed on in part.
    pub(super) rest: usize,
    /// The batch has executed something.
    pub(super) executed: bool,
    /// An answer that is not the client's before an implicit commit has succeeded.
    pub(super) held: BytesMut,
    /// Shared by the sessions of a test: one may make a deferrable constraint that the others must honour.
    pub(super) constraints: Rc<RefCell<Constraints>>,
    /// The start of the client's last statement, for whoever waits for the turn.
    pub(super) last_sql: String,
    /// The client said Terminate.
    pub(super) ended: bool,
    /// What has been prepared under which name; only a statement that is more than a name to the sandbox is kept.
    statements: HashMap<Vec<u8>, Option<Prepared>>,
    portals: HashMap<Vec<u8>, Prepared>,
    /// Named portals and cursors that a commit closes.
    open_portals: Vec<Vec<u8>>,
    standard_strings: bool,
}

/// A statement that must be more to the sandbox than a name.
type Prepared = Rc<(Statement, Vec<u8>)>;

impl Session {
    pub(super) fn new(id: u32, constraints: Rc<RefCell<Constraints>>) -> Self {
        Session {
            id,
            prefix: format!("{id}."),
            block: Block::Idle,
            awaiting: false,
            batch_open: false,
            skipping: false,
            copying_in: false,
            dirty: false,
            doomed: false,
            executed: false,
            rest: 0,
            held: BytesMut::new(),
            constraints,
            last_sql: String::new(),
            ended: false,
            statements: HashMap::new(),
            portals: HashMap::new(),
            open_portals: Vec::new(),
            standard_strings: true,
        }
    }

    /// Whether the session needs the backend no longer.
    pub(super) fn at_rest(&self) -> bool {
        self.block == Block::Idle && !self.awaiting && !self.batch_open && !self.copying_in
    }

    /// Whether the client's next message may be looked at.
    pub(super) fn may_send(&self) -> bool {
        !self.awaiting || self.copying_in
    }

    /// Answers what needs no backend and no turn; `false`: the message needs both.
    pub(super) fn answer_alone(&mut self, frame: &Frame, out: &mut BytesMut) -> bool {
        match frame.tag() {
            b'S' => frame::put_ready(out, self.block.status()),
            b'H' | b'd' | b'c' | b'f' => {}
            b'X' => self.ended = true,
            b'Q' if self.split(query_text(frame)).is_empty() && !self.statements.contains_key(&b""[..]) => {
                frame::put(out, b'I', |_| {});
                frame::put_ready(out, self.block.status());
            }
            _ => return false,
        }
        true
    }

    /// Takes the client's next piece, whose last frame lacks `missing` bytes. The session holds the turn.
    pub(super) fn client(&mut self, piece: &Piece, missing: usize, link: &mut Exchange) -> Result<(), Malformed> {
        let frame = match piece {
            Piece::Data { bytes, .. } => {
                self.data(bytes, missing, link);
                return Ok(());
            }
            Piece::Frame(frame) | Piece::Head(frame) => frame,
        };
        if self.skipping && !matches!(frame.tag(), b'S' | b'X') {
            return Ok(());
        }
        self.rest = missing;
        match frame.tag() {
            b'Q' => self.query(frame, link),
            b'P' => self.parse(frame, link)?,
            b'B' => self.bind(frame, link)?,
            b'D' => self.describe(frame, link)?,
            b'E' => self.execute(frame, link)?,
            b'C' => self.close(frame, link)?,
            b'H' => link.out.extend_from_slice(frame.bytes()),
            b'S' => self.sync(frame, link),
            b'F' => {
                link.out.extend_from_slice(frame.bytes());
                link.expect(What::Commands, Owner::Client, self.block.after_error());
                self.dirty = true;
                self.awaiting = true;
            }
            b'c' | b'f' if self.copying_in => {
                link.out.extend_from_slice(frame.bytes());
                self.copying_in = false;
            }
            b'c' | b'f' => {}
            b'X' => self.ended = true,
            tag => return Err(Malformed(format!("invalid frontend message type {tag}"))),
        }
        Ok(())
    }

    /// Copy data, or the rest of a large frame. What has been begun must be finished, whatever happened since.
    fn data(&mut self, bytes: &[u8], missing: usize, link: &mut Exchange) {
        let begun = self.rest.min(bytes.len());
        if self.copying_in {
            link.out.extend_from_slice(bytes);
            self.rest = missing;
        } else {
            link.out.extend_from_slice(&bytes[..begun]);
            self.rest -= begun;
        }
    }

    fn query(&mut self, frame: &Frame, link: &mut Exchange) {
        let text = query_text(frame);
        let statements = self.split(text);
        self.note(text);
        // A simple query destroys the unnamed statement.
        if self.statements.remove(&b""[..]).is_some() {
            let name = self.backend_name(b"");
            link.close(b'S', &name, Owner::Sandbox, self.block.after_error());
        }
        for statement in &statements {
            self.look_at(statement);
        }
        if let [only] = &statements[..]
            && self.control_alone(only, text, link)
        {
            return;
        }
        let script = Script::new(text, &statements, self.block, &self.constraints.borrow());
        self.awaiting = true;
        self.dirty = true;
        match &script.sql {
            Some(spliced) => frame::put_query(&mut link.out, spliced),
            None => link.out.extend_from_slice(frame.bytes()),
        }
        link.expect(What::Query(Box::new(script)), Owner::Client, self.block.after_error());
    }

    /// Answers a simple query that is one control statement without waiting for the backend, where its commands cannot
    /// fail.
    fn control_alone(&mut self, statement: &Statement, text: &[u8], link: &mut Exchange) -> bool {
        let Some(action) = control::action(statement, text, self.block, Place::Alone, &self.constraints.borrow())
        else {
            return false;
        };
        if action.on_error == Block::Idle
            && *self.constraints.borrow() != Constraints::None
            && self.block == Block::Open
        {
            return false;
        }
        let mut bytes = BytesMut::new();
        if let Some(warning) = &action.warning {
            warning.put(&mut bytes);
        }
        match &action.answer {
            Answer::Tag(tag) => frame::put_tag(&mut bytes, tag),
            // An error inside a block must fail the backend's transaction too.
            Answer::Error(_) if self.block != Block::Idle => return false,
            Answer::Error(report) => report.put(&mut bytes),
        }
        self.block = action.block;
        if action.block != Block::Open || !action.commands.is_empty() {
            self.close_portals(link, Owner::Sandbox);
        }
        frame::put_ready(&mut bytes, self.block.status());
        link.expect(What::Local { bytes, block: action.block }, Owner::Client, action.on_error);
        if !action.commands.is_empty() {
            link.commands(&action.commands.join(";"));
        }
        true
    }

    fn parse(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (name, text) = (cstr(&mut body)?, cstr(&mut body)?);
        self.note(text);
        let statements = self.split(text);
        let backend_name = self.backend_name(name);
        let on_error = self.open_batch();
        if name.is_empty() {
            // The unnamed statement is replaced without a word; ours has a name.
            if self.statements.contains_key(name) {
                link.close(b'S', &backend_name, Owner::Part, on_error);
            }
        }
        let mut carried = None;
        if let [only] = &statements[..] {
            self.look_at(only);
            carried = carrier(&only.kind);
        }
        let prepared = statements.into_iter().next().filter(|only| only.kind != Kind::Other);
        self.statements.insert(name.to_vec(), prepared.map(|only| Rc::new((only, text.to_vec()))));
        frame::put(&mut link.out, b'P', |b| {
            frame::put_cstr(b, &backend_name);
            frame::put_cstr(b, carried.unwrap_or(text));
            b.extend_from_slice(body);
        });
        link.expect(What::One, Owner::Client, on_error);
        Ok(())
    }

    fn bind(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let (portal, name) = (cstr(&mut body)?, cstr(&mut body)?);
        let backend_name = self.backend_name(name);
        let on_error = self.open_batch();
        self.dirty = true;
        match self.statements.get(name) {
            Some(Some(prepared)) => self.portals.insert(portal.to_vec(), prepared.clone()),
            _ => self.portals.remove(portal),
        };
        if !portal.is_empty() {
            self.open_portals.push(portal.to_vec());
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

    fn describe(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let on_error = self.open_batch();
        self.put_renamed(frame, b'D', link)?;
        link.expect(What::Describe, Owner::Client, on_error);
        Ok(())
    }

    fn close(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let on_error = self.open_batch();
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

    fn execute(&mut self, frame: &Frame, link: &mut Exchange) -> Result<(), Malformed> {
        let mut body = frame.body();
        let portal = cstr(&mut body)?;
        let on_error = self.open_batch();
        self.dirty = true;
        let prepared = self.portals.get(portal).cloned();
        let place = if self.executed { Place::AmongOthers } else { Place::Alone };
        self.executed = true;
        let action = prepared.and_then(|p| control::action(&p.0, &p.1, self.block, place, &self.constraints.borrow()));
        let Some(action) = action else {
            link.out.extend_from_slice(frame.bytes());
            link.expect(What::Execute { refused: None }, Owner::Client, on_error);
            return Ok(());
        };
        let mut bytes = BytesMut::new();
        if let Some(warning) = &action.warning {
            warning.put(&mut bytes);
        }
        if action.block == Block::Idle && self.block != Block::Idle {
            self.close_portals(link, Owner::Part);
        }
        for command in &action.commands {
            link.commands_in_batch(command, None, action.on_error);
        }
        match action.answer {
            Answer::Tag(tag) => frame::put_tag(&mut bytes, tag),
            Answer::Error(report) => link.commands_in_batch(REFUSED, Some(report), action.on_error),
        }
        self.block = action.block;
        link.expect(What::Local { bytes, block: action.block }, Owner::Client, action.on_error);
        Ok(())
    }

    fn sync(&mut self, frame: &Frame, link: &mut Exchange) {
        link.out.extend_from_slice(frame.bytes());
        link.expect(What::Sync, Owner::Client, self.block);
        self.skipping = false;
        self.copying_in = false;
        self.awaiting = true;
    }

    /// Notes that a batch is open, and returns the block that an error in it leads to.
    fn open_batch(&mut self) -> Block {
        self.batch_open = true;
        self.block.after_error()
    }

    /// Closes what a commit closes; the protocol's Close reaches cursors as well, and is no error where there is none.
    pub(super) fn close_portals(&mut self, link: &mut Exchange, owner: Owner) {
        self.portals.clear();
        for name in self.open_portals.drain(..) {
            link.close(b'P', &name, owner, Block::Idle);
        }
    }

    pub(super) fn forget_portals(&mut self) {
        self.portals.clear();
        self.open_portals.clear();
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

    /// The name on the backend of a prepared statement of this session.
    fn backend_name(&self, name: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), name].concat()
    }

    fn split(&self, text: &[u8]) -> Vec<sql::Statement> {
        sql::split(text, self.standard_strings)
    }

    /// Notes what a commit must do more for, from now on.
    fn look_at(&mut self, statement: &Statement) {
        if statement.hints.contains(Hints::DEFERRABLE) {
            *self.constraints.borrow_mut() = Constraints::Ask;
        }
        if let Kind::Declare { hold: false, .. } = &statement.kind {}
    }

    fn note(&mut self, text: &[u8]) {
        let cut = text.len().min(200);
        self.last_sql.clear();
        self.last_sql.push_str(&String::from_utf8_lossy(&text[..cut]));
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

fn query_text(frame: &Frame) -> &[u8] {
    frame.body().strip_suffix(b"\0").unwrap_or(frame.body())
}

fn cstr<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    frame::take_cstr(body).ok_or_else(cut_short)
}

fn cut_short() -> Malformed {
    Malformed("invalid message format".to_owned())
}

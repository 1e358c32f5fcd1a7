//! A session, one virtual connection of a client: its state, and what becomes of each message it sends.
//!
//! Nothing here waits or reads a socket: messages go in, bytes and expected answers come out. The extended protocol is
//! in `extended`, the other direction in `answers`.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use bytes::BytesMut;

use super::action::{Action, Answer, Course};
use super::belief::Belief;
use super::commit::Duties;
use super::constraints::{CHECK, Constraints};
use super::control::{self, Block, Ground, Place};
use super::defaults::Defaults;
use super::expect::{Exchange, Owner, What};
use super::frame::{self, Frame, Piece};
use super::names::{Before, Portal, Prepared};
use super::script::Script;
use super::settings::{self, Settings};
use super::sql::{self, Hints, Kind, Statement};

/// What the client is told when its stream makes no sense; its session ends.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) String);

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u32,
    /// Stands before the name of every prepared statement of this session.
    pub(super) prefix: String,
    /// What the client believes once everything sent so far has been answered without an error.
    pub(super) belief: Belief,
    /// What it believes after what has been answered.
    pub(super) settled: Belief,
    /// A query or a Sync is with the backend: the client's next messages wait for the answer, which decides what
    /// `COMMIT` in them means.
    pub(super) awaiting: bool,
    /// Extended messages have been sent, and no Sync yet.
    pub(super) batch_open: bool,
    /// The client has asked for the answers so far, and said nothing since.
    pub(super) flushed: bool,
    /// After an error inside a batch: everything is dropped until the client's Sync.
    pub(super) skipping: bool,
    /// The backend takes copy data.
    pub(super) copying_in: bool,
    /// A copy has been begun by Execute, and perhaps refused: what follows it is looked at when that is known, since a
    /// server takes nothing but copy data then, and closes its connection for anything else.
    pub(super) copy_begun: bool,
    /// The batch may have changed something.
    pub(super) dirty: bool,
    /// The client is gone in the middle of a batch, which a server would not commit.
    pub(super) doomed: bool,
    /// How much the backend still lacks of a frame that was passed on in part.
    pub(super) rest: usize,
    /// An answer that is not the client's before an implicit commit has succeeded.
    pub(super) held: BytesMut,
    /// Shared by the sessions of a test: one may make a deferrable constraint that the others must honour.
    pub(super) duties: Rc<RefCell<Duties>>,
    /// The transaction, or the batch, may have changed settings.
    pub(super) touched: bool,
    /// It may have temporary objects, or held cursors.
    pub(super) temporary: bool,
    /// What the client asked for at start-up.
    pub(super) initial: Settings,
    pub(super) initial_defaults: Defaults,
    /// The server has accepted what the client asked for.
    pub(super) accepted: bool,
    /// The start of the client's last statement, for whoever waits for the turn.
    pub(super) last_sql: String,
    /// The client said Terminate.
    pub(super) ended: bool,
    /// What has been prepared under which name.
    pub(super) statements: HashMap<Vec<u8>, Prepared>,
    pub(super) portals: HashMap<Vec<u8>, Portal>,
    pub(super) unanswered: VecDeque<Before>,
    /// The names on the backend of statements that are closed, which it does not know yet.
    pub(super) closed: Vec<Vec<u8>>,
    pub(super) unnamed_portal: bool,
    /// There may be an unnamed statement.
    pub(super) unnamed_statement: bool,
    /// The parameters as the client was last told.
    pub(super) told: BTreeMap<String, String>,
    /// What the server has reported of them since.
    pub(super) reports: BTreeMap<String, String>,
}

impl Session {
    pub(super) fn new(id: u32, duties: Rc<RefCell<Duties>>, initial: Settings, defaults: Defaults) -> Self {
        let belief = Belief::new(defaults);
        Session {
            id,
            prefix: format!("{id}."),
            settled: belief.clone(),
            belief,
            awaiting: false,
            batch_open: false,
            flushed: false,
            skipping: false,
            copying_in: false,
            copy_begun: false,
            dirty: false,
            doomed: false,
            rest: 0,
            held: BytesMut::new(),
            duties,
            touched: false,
            temporary: false,
            accepted: initial.is_empty(),
            initial,
            initial_defaults: defaults,
            last_sql: String::new(),
            ended: false,
            statements: HashMap::new(),
            portals: HashMap::new(),
            unanswered: VecDeque::new(),
            closed: Vec::new(),
            unnamed_portal: false,
            unnamed_statement: false,
            told: BTreeMap::new(),
            reports: BTreeMap::new(),
        }
    }

    /// Whether the session needs the backend no longer.
    pub(super) fn at_rest(&self) -> bool {
        self.belief.block == Block::Idle && !self.awaiting && !self.batch_open && !self.copying_in
    }

    /// Whether the client's next message may be looked at.
    pub(super) fn may_send(&self) -> bool {
        !self.copy_begun && (!self.awaiting || self.copying_in)
    }

    /// Answers what needs no backend and no turn; `false`: the message needs both.
    pub(super) fn answer_alone(&mut self, frame: &Frame, out: &mut BytesMut) -> bool {
        match frame.tag() {
            b'S' => frame::put_ready(out, self.belief.block.status()),
            b'H' | b'd' | b'c' | b'f' => {}
            b'X' => self.ended = true,
            b'C' if self.close_alone(frame) => frame::put(out, b'3', |_| {}),
            b'Q' if self.split(query_text(frame)).is_empty() && !self.statements.contains_key(&b""[..]) => {
                frame::put(out, b'I', |_| {});
                frame::put_ready(out, self.belief.block.status());
            }
            _ => return false,
        }
        true
    }

    /// Takes the client's next piece, whose last frame lacks `missing` bytes. The session holds the turn.
    pub(super) fn client(&mut self, piece: &Piece, missing: usize, link: &mut Exchange) -> Result<(), Malformed> {
        if let Some(answered) = link.loaded.constraints.take() {
            self.duties.borrow_mut().learn(answered);
        }
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
        self.check(frame)?;
        self.flushed = frame.tag() == b'H' && !self.copying_in;
        if !matches!(frame.tag(), b'C' | b'S' | b'H' | b'X') {
            self.close_closed(link);
        }
        match frame.tag() {
            b'Q' => self.query(frame, link),
            b'P' => self.parse(frame, link)?,
            b'B' => self.bind(frame, link)?,
            b'D' => self.describe(frame, link)?,
            b'E' => self.execute(frame, link)?,
            b'C' => self.close(frame, link)?,
            // A server takes no notice of them inside copy-in.
            b'H' | b'S' if self.copying_in => {}
            b'H' => link.out.extend_from_slice(frame.bytes()),
            b'S' => self.sync(frame, link),
            b'F' => {
                self.begin_batch(link);
                link.out.extend_from_slice(frame.bytes());
                self.belief.queried |= self.belief.block != Block::Failed;
                self.settle(link);
                link.expect(What::Commands, Owner::Client);
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
        // Only now: what was refused has not been begun.
        self.rest = missing;
        Ok(())
    }

    /// Refuses what would make the server close its connection.
    fn check(&self, frame: &Frame) -> Result<(), Malformed> {
        let tag = frame.tag();
        if self.copying_in && !matches!(tag, b'd' | b'c' | b'f' | b'H' | b'S' | b'X') {
            return Err(Malformed("terminating connection because protocol synchronization was lost".to_owned()));
        }
        let fits = match tag {
            b'Q' => frame.body().iter().position(|b| *b == 0) == frame.body().len().checked_sub(1),
            b'H' | b'S' => frame.body().is_empty(),
            _ => true,
        };
        if fits { Ok(()) } else { Err(Malformed("invalid message format".to_owned())) }
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
        for statement in &statements {
            self.look_at(statement, text, &[]);
            self.note_close(statement, text);
        }
        if matches!(&statements[..], [Statement { kind: Kind::Rollback { .. }, .. }]) {
            self.check_left_open(link);
        }
        // In an open batch the server may skip it.
        let alone = !self.batch_open && matches!(&statements[..], [only] if self.control_alone(only, text, link));
        self.drop_unnamed(!statements.is_empty(), alone, link);
        if alone {
            return;
        }
        let begins = matches!(statements.first(), Some(Statement { kind: Kind::Begin { .. }, .. }));
        if !begins {
            self.begin_batch(link);
        }
        let script =
            self.with_ground(&[], link, |ground| Script::new(text, &statements, &self.belief, self.batch_open, ground));
        self.awaiting = true;
        self.dirty = true;
        match &script.sql {
            Some(spliced) => frame::put_query(&mut link.out, spliced),
            None => link.out.extend_from_slice(frame.bytes()),
        }
        link.expect(What::Query(Box::new(script)), Owner::Client);
    }

    /// A transaction that is rolled back when the body has returned was dropped, not meant to fail: what it has deferred is
    /// checked, as its commit would.
    fn check_left_open(&self, link: &mut Exchange) {
        let duties = self.duties.borrow();
        let open = self.belief.block == Block::Open && !self.batch_open;
        if open && duties.constraints != Constraints::None && duties.watch.is_over() {
            frame::put_query(&mut link.out, CHECK.as_bytes());
            link.expect(What::Check, Owner::Sandbox);
        }
    }

    /// A simple query destroys the unnamed statement, and its first statement the unnamed portal.
    fn drop_unnamed(&mut self, portal: bool, alone: bool, link: &mut Exchange) {
        let mut closed = false;
        if self.statements.contains_key(&b""[..]) {
            // In an open batch the server may skip it.
            let what = if self.batch_open {
                self.name_statement(b"", None);
                What::Name(None)
            } else {
                self.statements.remove(&b""[..]);
                What::One
            };
            let name = self.backend_name(b"");
            link.close(b'S', &name, what, Owner::Sandbox);
            closed = true;
        }
        if portal {
            self.portals.remove(&b""[..]);
            if std::mem::take(&mut self.unnamed_portal) && alone {
                link.close(b'P', b"", What::One, Owner::Sandbox);
                closed = true;
            }
        }
        if closed {
            // Nothing else may follow soon that makes the server write its answer.
            frame::put(&mut link.out, b'H', |_| {});
        }
    }

    /// Answers a simple query that is one control statement without waiting for the backend, where its commands can
    /// neither fail nor tell the client anything.
    fn control_alone(&mut self, statement: &Statement, text: &[u8], link: &mut Exchange) -> bool {
        let Action { warning, course, after, .. } = self.action(statement, text, Place::Alone, &[], link);
        let Course::Replaced(commands, answer) = course else { return false };
        let transaction = matches!(
            statement.kind,
            Kind::Begin { .. } | Kind::Commit { .. } | Kind::Rollback { .. } | Kind::SetTransaction { .. }
        );
        let is_plain = transaction && self.duties.borrow().is_plain(self.touched, &self.belief);
        if !commands.is_empty() && !is_plain {
            return false;
        }
        let mut bytes = BytesMut::new();
        if let Some(warning) = &warning {
            warning.put(&mut bytes);
        }
        let idle = self.belief.block == Block::Idle;
        let after = match answer {
            // An error inside a block must fail the backend's transaction too.
            Answer::Error(_) if !idle => return false,
            Answer::Error(_) => after,
            _ if idle && after.block == Block::Idle => after.ended(true),
            _ => after,
        };
        answer.put(true, &mut bytes);
        if matches!(statement.kind, Kind::Commit { .. } | Kind::Rollback { .. }) {
            self.forget_portals();
        }
        self.put_ready(&after, &mut bytes);
        self.belief = after.clone();
        link.expect(What::Local { bytes, belief: after }, Owner::Client);
        if !commands.is_empty() {
            link.commands(&commands.join(";"));
        }
        true
    }

    /// What becomes of a statement, by the rules.
    pub(super) fn action(
        &self,
        statement: &Statement,
        text: &[u8],
        place: Place,
        values: &[Option<Vec<u8>>],
        link: &Exchange,
    ) -> Action {
        self.with_ground(values, link, |ground| control::action(statement, text, &self.belief, place, ground))
    }

    pub(super) fn with_ground<T>(
        &self,
        values: &[Option<Vec<u8>>],
        link: &Exchange,
        f: impl FnOnce(&Ground<'_>) -> T,
    ) -> T {
        f(&Ground {
            duties: &self.duties.borrow(),
            before: &link.loaded.settings,
            user: &link.loaded.user,
            initial: &self.initial,
            initial_defaults: &self.initial_defaults,
            prefix: &self.prefix,
            values,
        })
    }

    /// The commands of an implicit commit.
    pub(super) fn keep(&self, link: &Exchange) -> String {
        self.with_ground(&[], link, |ground| ground.keep(&self.settled)).join(";")
    }

    /// Begins what a server would put into one implicit transaction.
    pub(super) fn begin_batch(&mut self, link: &mut Exchange) {
        if self.belief.block == Block::Idle && self.belief.mode.read_only && !self.belief.fenced {
            link.commands(control::FENCE);
            self.belief.fenced = true;
            self.settle(link);
            self.dirty = true;
        }
    }

    /// What the client believes now is true once everything before has been answered.
    pub(super) fn settle(&self, link: &mut Exchange) {
        link.expect(What::Local { bytes: BytesMut::new(), belief: self.belief.clone() }, Owner::Client);
    }

    /// Writes `ReadyForQuery`, and before it what the client must know of its settings.
    pub(super) fn put_ready(&mut self, belief: &Belief, out: &mut BytesMut) {
        const READ_ONLY: &str = "default_transaction_read_only";
        if self.told.contains_key(READ_ONLY)
            && let Some(value) = belief.show(READ_ONLY)
        {
            self.reports.insert(READ_ONLY.to_owned(), value);
        }
        for (name, value) in std::mem::take(&mut self.reports) {
            if self.told.get(&name) != Some(&value) {
                frame::put_parameter(out, &name, &value);
                self.told.insert(name, value);
            }
        }
        frame::put_ready(out, belief.block.status());
    }

    pub(super) fn forget_portals(&mut self) {
        self.portals.clear();
    }

    /// The name on the backend of a prepared statement of this session.
    pub(super) fn backend_name(&self, name: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), name].concat()
    }

    pub(super) fn split(&self, text: &[u8]) -> Vec<sql::Statement> {
        sql::split(text, self.belief.defaults.standard_strings)
    }

    /// Notes what a commit must do more for, from now on; `values` are the parameters of the statement, where bound.
    pub(super) fn look_at(&mut self, statement: &Statement, text: &[u8], values: &[Option<Vec<u8>>]) {
        if statement.kind == Kind::Other && statement.hints == Hints::empty() {
            return;
        }
        let mut duties = self.duties.borrow_mut();
        let held = matches!(statement.kind, Kind::Declare { hold: true, .. });
        if (held || statement.hints.contains(Hints::TEMP)) && !std::mem::replace(&mut self.temporary, true) {
            duties.temporary_of += 1;
        }
        duties.note(statement);
        self.touched |= matches!(
            statement.kind,
            Kind::Set { .. } | Kind::Reset { .. } | Kind::DiscardAll | Kind::SetSessionCharacteristics { .. }
        );
        if statement.hints.contains(Hints::SET_CONFIG) {
            let calls = settings::calls(&text[statement.range.clone()], values);
            self.touched |= !calls.is_empty();
            duties.custom.extend(calls.into_iter().filter_map(|call| call.name).filter(|name| name.contains('.')));
        }
    }

    pub(super) fn note(&mut self, text: &[u8]) {
        let cut = text.len().min(200);
        self.last_sql.clear();
        self.last_sql.push_str(&String::from_utf8_lossy(&text[..cut]));
    }
}

fn query_text(frame: &Frame) -> &[u8] {
    frame.body().strip_suffix(b"\0").unwrap_or(frame.body())
}

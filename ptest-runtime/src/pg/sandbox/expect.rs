//! What the backend still has to answer, in order, and what each answer is for.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::BytesMut;

use super::belief::{Belief, Change, Setting};
use super::constraints::{Constraints, WHICH};
use super::frame::{self, Frame, Report};
use super::list::List;
use super::script::Script;
use super::settings::{self, Settings};

/// The sending half of the exchange with the backend: bytes to write, and the answers that they will bring.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) out: BytesMut,
    pub(super) expected: VecDeque<Expected>,
    pub(super) loaded: Loaded,
}

/// Whose settings the backend has.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) session: u32,
    /// They are these, outside of a transaction.
    pub(super) settings: Settings,
    /// A snapshot of them is under way.
    pub(super) pending: bool,
    /// The constraints that can be deferred, as the server has answered last.
    pub(super) constraints: Option<Constraints>,
    /// Those of the other sessions.
    pub(super) others: HashMap<u32, Settings>,
    /// What the server has reported of its parameters, last.
    pub(super) reported: BTreeMap<String, String>,
    /// The user that the backend connected as.
    pub(super) user: String,
}

/// The answer to one message.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) what: What,
    pub(super) owner: Owner,
    /// What the client believes if an error comes here; `None`: as after any error.
    pub(super) on_error: Option<Belief>,
}

/// Who sees the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The client whose turn it is.
    Client,
    /// Ours, on behalf of a message of the client: only an error is for the client.
    Part,
    /// Ours, between batches: nobody sees it, and an error means that the sandbox is lost.
    Sandbox,
}

#[derive(Debug)]
pub(super) enum What {
    /// One message: `ParseComplete`, `BindComplete` or `CloseComplete`.
    One,
    /// The same, where a name of the session's gets or loses its meaning; in the text of a statement, names may have been
    /// replaced.
    Name(Option<Box<Script>>),
    /// A description, perhaps behind the parameters'.
    Describe,
    /// Rows or copy data, up to completion.
    Execute(Run),
    /// `ReadyForQuery`.
    Sync,
    /// Everything up to `ReadyForQuery`.
    Query(Box<Script>),
    /// Everything up to `ReadyForQuery` of a function call or of commands of the sandbox.
    Commands,
    /// The commands of an implicit commit; the client gets what is held back when they have succeeded, else the error.
    Gate,
    /// Whether what is deferred in the transaction that a body has left open would pass, up to `ReadyForQuery`; an error is
    /// found when the test is over.
    Check,
    /// No message: the client gets these bytes when everything before has been answered.
    Local { bytes: BytesMut, belief: Belief },
    /// The settings of the session that has the turn, up to `ReadyForQuery`.
    Snapshot { rows: Vec<u8> },
    /// Which constraints can be deferred, up to `ReadyForQuery`.
    Constraints { rows: Vec<u8> },
}

/// What an Execute runs.
#[derive(Debug)]
pub(super) enum Run {
    Statement,
    /// One in whose text names have been replaced.
    Renamed(Box<Script>),
    /// A declaration of ours around the client's own text.
    Declaration,
    /// What is sure to fail; this is the client's error.
    Refused(Report),
}

impl Loaded {
    /// Notes a report of the server, and returns it.
    pub(super) fn report(&mut self, frame: &Frame) -> Option<(String, String)> {
        let mut body = frame.body();
        let mut text = || frame::take_cstr(&mut body).map(|text| String::from_utf8_lossy(text).into_owned());
        let (name, value) = (text()?, text()?);
        self.reported.insert(name.clone(), value.clone());
        Some((name, value))
    }
}

impl Exchange {
    pub(super) fn expect(&mut self, what: What, owner: Owner) {
        self.expected.push_back(Expected { what, owner, on_error: None });
    }

    /// The same, where an error leaves the client with a belief of its own.
    pub(super) fn expect_or(&mut self, what: What, owner: Owner, on_error: &Belief) {
        self.expected.push_back(Expected { what, owner, on_error: Some(on_error.clone()) });
    }

    /// Commands between batches. Legal only where no batch is open.
    pub(super) fn commands(&mut self, sql: &str) {
        frame::put_query(&mut self.out, sql.as_bytes());
        self.expect(What::Commands, Owner::Sandbox);
    }

    /// Notes that the session that has the turn has changed its settings for good, if it has. Legal only where no batch
    /// is open.
    pub(super) fn changed(&mut self, changes: &List<Change>, initial: &Settings, custom: &BTreeSet<String>) {
        let Some(newest) = changes.first() else { return };
        let role = self.loaded.settings.has_role() || changes.iter().any(|(change, _)| change.is_of_role());
        if newest.of == Setting::All && !role {
            self.loaded.settings = initial.clone();
        } else {
            self.snapshot(custom);
        }
    }

    /// Asks which constraints can be deferred, if the test may have made some. Legal only where no batch is open.
    pub(super) fn constraints(&mut self, known: &mut Constraints) {
        if *known == Constraints::Ask {
            *known = Constraints::Asked;
            frame::put_query(&mut self.out, WHICH.as_bytes());
            self.expect(What::Constraints { rows: Vec::new() }, Owner::Sandbox);
        }
    }

    /// Reads the session's settings. Legal only where no batch is open.
    pub(super) fn snapshot(&mut self, custom: &BTreeSet<String>) {
        frame::put_query(&mut self.out, settings::snapshot(custom).as_bytes());
        self.expect(What::Snapshot { rows: Vec::new() }, Owner::Sandbox);
        self.loaded.pending = true;
    }

    /// Commands inside an extended batch, through the backend's unnamed statement, which no session uses, and a portal
    /// of ours. (A simple query would end the batch.)
    pub(super) fn commands_in_batch(&mut self, sql: &str, run: Run, on_error: &Belief) {
        const PORTAL: &[u8] = b"_ptest_portal";
        // In a failed transaction, the one of a command that failed still stands.
        self.close(b'P', PORTAL, What::One, Owner::Part);
        let out = &mut self.out;
        frame::put(out, b'P', |b| {
            frame::put_cstr(b, b"");
            frame::put_cstr(b, sql.as_bytes());
            b.extend_from_slice(&[0, 0]);
        });
        frame::put(out, b'B', |b| {
            frame::put_cstr(b, PORTAL);
            frame::put_cstr(b, b"");
            b.extend_from_slice(&[0; 6]);
        });
        frame::put(out, b'E', |b| {
            frame::put_cstr(b, PORTAL);
            b.extend_from_slice(&[0; 4]);
        });
        frame::put(out, b'C', |b| {
            b.extend_from_slice(b"P");
            frame::put_cstr(b, PORTAL);
        });
        self.expect_or(What::One, Owner::Part, on_error);
        self.expect_or(What::One, Owner::Part, on_error);
        self.expect_or(What::Execute(run), Owner::Part, on_error);
        self.expect_or(What::One, Owner::Part, on_error);
    }

    /// Closes a statement (`S`) or a portal (`P`) of the backend; it is no error if there is none.
    pub(super) fn close(&mut self, kind: u8, name: &[u8], what: What, owner: Owner) {
        frame::put(&mut self.out, b'C', |b| {
            b.extend_from_slice(&[kind]);
            frame::put_cstr(b, name);
        });
        self.expect(what, owner);
    }

    /// Whether a client still waits for something.
    pub(super) fn owes_client(&self) -> bool {
        self.expected.iter().any(|e| e.owner != Owner::Sandbox)
    }

    /// Drops what the server skips after an error: everything up to the next Sync.
    pub(super) fn skip_to_sync(&mut self) {
        while self.expected.front().is_some_and(|e| !matches!(e.what, What::Sync)) {
            self.expected.pop_front();
        }
    }
}

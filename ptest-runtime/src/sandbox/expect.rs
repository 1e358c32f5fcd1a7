//! What the backend still has to answer, in order, and what each answer is for.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::control::Block;
use super::frame::{self, Report};
use super::script::Script;

/// The sending half of the exchange with the backend: bytes to write, and the answers that they will bring.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) out: BytesMut,
    pub(super) expected: VecDeque<Expected>,
}

/// The answer to one message.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) what: What,
    pub(super) owner: Owner,
    /// The client's block if an error comes here.
    pub(super) on_error: Block,
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
    /// A description, perhaps behind the parameters'.
    Describe,
    /// Rows or copy data, up to completion; `refused` replaces the error that ours is sure to bring.
    Execute { refused: Option<Report> },
    /// `ReadyForQuery`.
    Sync,
    /// Everything up to `ReadyForQuery`.
    Query(Box<Script>),
    /// Everything up to `ReadyForQuery` of a function call or of commands of the sandbox.
    Commands,
    /// The commands of an implicit commit; the client gets what is held back when they have succeeded, else the error.
    Gate,
    /// No message: the client gets these bytes when everything before has been answered.
    Local { bytes: BytesMut, block: Block },
}

impl Exchange {
    pub(super) fn expect(&mut self, what: What, owner: Owner, on_error: Block) {
        self.expected.push_back(Expected { what, owner, on_error });
    }

    /// Commands between batches. Legal only where no batch is open.
    pub(super) fn commands(&mut self, sql: &str) {
        frame::put_query(&mut self.out, sql.as_bytes());
        self.expect(What::Commands, Owner::Sandbox, Block::Idle);
    }

    /// Commands inside an extended batch, through the backend's unnamed statement, which no session uses, and a portal
    /// of ours. (A simple query would end the batch.)
    pub(super) fn commands_in_batch(&mut self, sql: &str, refused: Option<Report>, on_error: Block) {
        const PORTAL: &[u8] = b"_ptest_portal";
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
        self.expect(What::One, Owner::Part, on_error);
        self.expect(What::One, Owner::Part, on_error);
        self.expect(What::Execute { refused }, Owner::Part, on_error);
        self.expect(What::One, Owner::Part, on_error);
    }

    /// Closes a statement (`S`) or a portal (`P`) of the backend; it is no error if there is none.
    pub(super) fn close(&mut self, kind: u8, name: &[u8], owner: Owner, on_error: Block) {
        frame::put(&mut self.out, b'C', |b| {
            b.extend_from_slice(&[kind]);
            frame::put_cstr(b, name);
        });
        self.expect(What::One, owner, on_error);
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

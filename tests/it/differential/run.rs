//! A conversation with both sides, and their differences.

use std::net::Shutdown;

use super::normal::{normal, without_what_is_refused};
use super::plain::Plain;
use super::tables::{clear, make};
use super::texts::leaves_objects;
use super::{Batch, Conversation, Extended, Parameters, SESSIONS, Turn};
use crate::wire::{Message, Wire, bind, execute, frame, parse_message, query};

/// The same sessions on either side.
pub(crate) struct Pair<'a> {
    plain: &'a Plain,
    sandbox: &'a str,
    /// No commit has anything to do.
    bare: bool,
    sessions: Vec<Session>,
    runs: usize,
}

/// A session with the server, and one with the sandbox.
struct Session {
    sides: [Wire; 2],
    /// The status, the same on both sides.
    status: u8,
    /// Something has been sent since it was as new.
    used: bool,
    /// It has been begun with parameters of its own.
    odd: bool,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(plain: &'a Plain, sandbox: &'a str, bare: bool) -> Self {
        for url in [&plain.url, sandbox] {
            let mut wire = Wire::connect(url);
            for sql in make(bare) {
                let answer = wire.query(sql);
                assert!(answer.ends_with(" I") && !answer.contains('!'), "{sql}: {answer}");
            }
        }
        Pair { plain, sandbox, bare, sessions: Vec::new(), runs: 0 }
    }

    /// Has the conversation on connections of its own, with nothing left of any other.
    pub(crate) fn run_anew(&mut self, conversation: &Conversation) -> Option<String> {
        self.leave();
        self.run(conversation)
    }

    /// Has the conversation on both sides, and cleans up; returns how they differ first.
    pub(crate) fn run(&mut self, conversation: &Conversation) -> Option<String> {
        if self.runs.is_multiple_of(250) {
            let connect = || [&self.plain.url, self.sandbox].map(Wire::connect);
            let session = |_| Session { sides: connect(), status: b'I', used: true, odd: false };
            self.sessions = (0..SESSIONS).map(session).collect();
        }
        self.runs += 1;
        let difference =
            self.compare(conversation).or_else(|| self.reset(leaves_objects(&format!("{conversation:?}"))));
        if difference.is_some() {
            self.leave();
        }
        difference
    }

    /// Ends the sessions, whatever they are at, and removes what they have left.
    fn leave(&mut self) {
        for mut wire in self.sessions.drain(..).flat_map(|session| session.sides) {
            let _ = wire.stream.shutdown(Shutdown::Write);
            while wire.next().is_some() {}
        }
        for url in [&self.plain.url, self.sandbox] {
            let answer = Wire::connect(url).query(&clear(self.bare, true));
            assert!(answer.ends_with(" I") && !answer.contains('!'), "{answer}");
        }
        self.runs = 0;
    }

    /// Makes both sides as they were at first, in one round trip.
    fn reset(&mut self, objects: bool) -> Option<String> {
        let urls = [&self.plain.url, self.sandbox];
        for session in self.sessions.iter_mut().filter(|session| session.odd) {
            if let Some(difference) = session.hang_up(true, &[], urls) {
                return Some(format!("reset: {difference}"));
            }
        }
        let clear = clear(self.bare, objects);
        let used: Vec<_> = self.sessions.iter_mut().filter(|session| session.used).collect();
        let last = used.len().wrapping_sub(1);
        let all: Vec<_> = used
            .into_iter()
            .enumerate()
            .map(|(i, session)| {
                let rollback = (session.status != b'I').then_some("rollback");
                let delete = (i == last).then_some(&*clear);
                let queries: Vec<_> = rollback.into_iter().chain(["discard all"]).chain(delete).collect();
                let out: Vec<u8> = queries.iter().flat_map(|sql| query(sql)).collect();
                session.sides.iter_mut().for_each(|wire| wire.send(&out));
                (session, queries)
            })
            .collect();
        all.into_iter().find_map(|(session, queries)| {
            (session.status, session.used) = (b'I', false);
            let answers =
                session.sides.each_mut().map(|wire| queries.iter().map(|_| wire.until_ready()).collect::<Vec<_>>());
            let idle = answers.iter().flatten().all(|a| a.last().is_some_and(|m| m.body == b"I"));
            let [plain, sandbox] = answers.map(|answers| answers.iter().flat_map(|a| normal(a)).collect());
            different("reset", plain, sandbox).or_else(|| (!idle).then(|| "a reset that is none".to_owned()))
        })
    }

    fn compare(&mut self, conversation: &Conversation) -> Option<String> {
        for (number, turn) in conversation.iter().enumerate() {
            for other in (0..SESSIONS).filter(|other| *other != turn.session) {
                if let Some(difference) = self.sessions[other].roll_back() {
                    return Some(format!("before turn {number}, in session {other}: {difference}"));
                }
            }
            let session = &mut self.sessions[turn.session];
            session.used = true;
            if let [Batch::HangUp(politely, parameters)] = turn.batches[..] {
                match session.hang_up(politely, parameters, [&self.plain.url, self.sandbox]) {
                    Some(difference) => return Some(format!("turn {number}: {difference}")),
                    None => continue,
                }
            }
            let turn = without_dead_portals(turn, session.status);
            let out: Vec<u8> = turn.batches.iter().flat_map(bytes).collect();
            session.sides.iter_mut().for_each(|wire| wire.send(&out));
            let [mut plain, mut sandbox] = session.sides.each_mut().map(|wire| receive(&turn, wire));
            session.status = *plain.last().and_then(|m| m.body.first()).unwrap_or(&b'?');
            without_what_is_refused(&mut plain, &mut sandbox);
            let difference = different(&format!("turn {number}"), normal(&plain), normal(&sandbox));
            if difference.is_some() {
                return difference;
            }
        }
        None
    }
}

impl Session {
    /// Ends the transaction of a session, so that another may go on: sessions of a sandbox take turns.
    fn roll_back(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.status, b'I') == b'I' {
            return None;
        }
        self.sides.iter_mut().for_each(|wire| wire.send(&query("rollback")));
        let [plain, sandbox] = self.sides.each_mut().map(|wire| normal(&wire.until_ready()));
        different("rollback", plain, sandbox)
    }

    /// Ends both connections, waits until either side has seen it, and makes new ones.
    fn hang_up(&mut self, politely: bool, parameters: Parameters, urls: [&str; 2]) -> Option<String> {
        for wire in &mut self.sides {
            match politely {
                true => wire.send(&frame(b'X', b"")),
                false => wire.stream.shutdown(Shutdown::Write).unwrap(),
            }
            while wire.next().is_some() {}
        }
        let [plain, sandbox] = urls.map(|url| Wire::start(url, parameters));
        let accepted = plain.1.last().is_some_and(|m| m.tag == b'Z');
        let difference = different("start-up", normal(&plain.1), normal(&sandbox.1));
        (self.status, self.odd) = (b'I', accepted && !parameters.is_empty());
        self.sides = if accepted { [plain.0, sandbox.0] } else { urls.map(Wire::connect) };
        difference
    }
}

fn different(at: &str, plain: Vec<String>, sandbox: Vec<String>) -> Option<String> {
    let lines = |messages: &[String]| messages.join("\n           ");
    (plain != sandbox).then(|| format!("{at}\n  server:  {}\n  sandbox: {}", lines(&plain), lines(&sandbox)))
}

/// A server (15.18) crashes when a portal is described or run whose transaction has failed since it was bound.
fn without_dead_portals(turn: &Turn, status: u8) -> Turn {
    let mut turn = turn.clone();
    for (number, batch) in turn.batches.iter_mut().enumerate() {
        let (Batch::Extended(messages) | Batch::Unsynced(messages, _)) = batch else { continue };
        let mut bound = Vec::new();
        for message in messages {
            match message {
                Extended::Bind(portal, _) | Extended::BindOne(portal, ..) => bound.push(*portal),
                Extended::Run(_) | Extended::Binary(_) | Extended::With(..) => bound.push(""),
                Extended::Describe(b'P', portal) | Extended::Execute(portal, _)
                    if (status == b'E' || number > 0) && !bound.contains(portal) =>
                {
                    *message = Extended::Flush;
                }
                _ => {}
            }
        }
    }
    turn
}

/// All answers to a turn that has been sent.
fn receive(turn: &Turn, wire: &mut Wire) -> Vec<Message> {
    let mut messages = Vec::new();
    for batch in &turn.batches {
        while let Some(message) = wire.next() {
            let tag = message.tag;
            if tag == b'N' && message.field(b'M').is_some_and(|text| text == "running") {
                wire.cancel();
            }
            let before = messages.last().map(|m: &Message| m.tag);
            messages.push(message);
            if tag == b'G' {
                let mut data: Vec<u8> = turn.copy.iter().flat_map(|bytes| frame(b'd', bytes)).collect();
                data.extend(if turn.copy_fails { frame(b'f', b"no\0") } else { frame(b'c', b"") });
                if matches!(batch, Batch::Extended(_)) {
                    // The Sync that was sent with the batch is lost inside the copy.
                    data.extend(frame(b'S', b""));
                }
                wire.send(&data);
            }
            if tag == b'Z' && (before == Some(b'3') || !matches!(batch, Batch::Unsynced(..))) {
                break;
            }
        }
    }
    messages
}

fn bytes(batch: &Batch) -> Vec<u8> {
    match batch {
        Batch::Simple(statements) => query(&statements.join("; ")),
        Batch::Call(divisor) => {
            // int4div(4, n), in text.
            let number = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
            frame(b'F', &[&154u32.to_be_bytes()[..], &[0, 0, 0, 2], &number("4"), &number(divisor), &[0, 0]].concat())
        }
        Batch::Unsynced(messages, statements) => {
            let mut out: Vec<u8> = messages.iter().flat_map(message).collect();
            out.extend(query(&statements.join("; ")));
            out.extend(frame(b'S', b""));
            // Whether the query was skipped or not, its answer ends before this one.
            out.extend(frame(b'C', b"Snone\0"));
            out.extend(frame(b'S', b""));
            out
        }
        Batch::Cancelled(extended) => {
            let sql = "do $$ begin raise warning 'running'; perform pg_catalog.pg_sleep(20); end $$";
            if *extended { [message(&Extended::Run(sql.to_owned())), frame(b'S', b"")].concat() } else { query(sql) }
        }
        Batch::HangUp(..) => Vec::new(),
        Batch::Extended(messages) => {
            let mut out: Vec<u8> = messages.iter().flat_map(message).collect();
            out.extend(frame(b'S', b""));
            out
        }
    }
}

fn message(message: &Extended) -> Vec<u8> {
    let named = |tag: u8, kind: &u8, name: &str| frame(tag, &[&[*kind], name.as_bytes(), b"\0"].concat());
    let run =
        |sql: &str, bind: Vec<u8>| [parse_message("", sql), bind, named(b'D', &b'P', ""), execute("", 0)].concat();
    match message {
        Extended::Parse(name, sql) => parse_message(name, sql),
        Extended::Bind(portal, name) => bind(portal, name, &[]),
        Extended::Describe(kind, name) => named(b'D', kind, name),
        Extended::Execute(portal, rows) => execute(portal, *rows),
        Extended::Close(kind, name) => named(b'C', kind, name),
        Extended::Flush => frame(b'H', b""),
        Extended::BindOne(portal, name, value) => bind(portal, name, &[value]),
        Extended::Run(sql) => run(sql, bind("", "", &[])),
        Extended::Binary(sql) => run(sql, frame(b'B', &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1])),
        Extended::With(sql, value) => run(sql, bind("", "", &[value])),
    }
}

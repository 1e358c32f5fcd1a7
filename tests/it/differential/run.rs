//! A conversation with both sides, and their differences.

use super::{Batch, Conversation, Extended, Turn};
use crate::wire::{self, Message, Wire, bind, execute, frame, parse_message, query};

/// A database without ptest, on the server of a sandbox.
pub(crate) struct Plain {
    admin: String,
    url: String,
    name: String,
}

impl Plain {
    /// `None`: there is no local way to the server.
    pub(crate) fn beside(sandbox: &str) -> Option<Plain> {
        let mut wire = Wire::connect(sandbox);
        let mut ask = |sql: &str| {
            wire.send(&query(sql));
            let row = wire.until_ready().into_iter().find(|m| m.tag == b'D');
            row.map(|row| wire::values(&row.body).remove(0)).unwrap_or_default()
        };
        let (folders, port, user) = (ask("show unix_socket_directories"), ask("show port"), ask("select current_user"));
        let folder = folders
            .split(',')
            .map(str::trim)
            .find(|f| std::path::Path::new(&format!("{f}/.s.PGSQL.{port}")).exists())?;
        let at = |database: &str| format!("postgres://{user}@{}:{port}/{database}", folder.replace('/', "%2F"));
        let name = format!("plain_{}", std::process::id());
        let admin = at("postgres");
        let (mut wire, hello) = Wire::start(&admin, &[]);
        if hello.last()?.tag != b'Z' {
            return None;
        }
        wire.query(&format!("drop database if exists {name}"));
        assert_eq!(wire.query(&format!("create database {name}")), "CREATE DATABASE I");
        Some(Plain { url: at(&name), admin, name })
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            Wire::connect(&self.admin).query(&format!("drop database {} with (force)", self.name));
        }
    }
}

/// Two sessions on either side.
pub(crate) struct Pair<'a> {
    plain: &'a Plain,
    sandbox: &'a str,
    sides: [Vec<Wire>; 2],
    /// The status of each session, the same on both sides.
    status: [u8; 2],
    runs: usize,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(plain: &'a Plain, sandbox: &'a str) -> Self {
        for url in [&plain.url, sandbox] {
            let mut wire = Wire::connect(url);
            wire.query("create table t (a int primary key, b text)");
            wire.query("create table parent (id int primary key)");
            wire.query("create table child (parent int references parent deferrable initially deferred)");
            wire.query("insert into parent values (1)");
        }
        Pair { plain, sandbox, sides: [Vec::new(), Vec::new()], status: [b'I'; 2], runs: 0 }
    }

    /// Has the conversation on both sides; returns how they differ first.
    pub(crate) fn run(&mut self, conversation: &Conversation) -> Option<String> {
        if self.runs.is_multiple_of(50) {
            self.sides = [&self.plain.url, self.sandbox].map(|url| (0..2).map(|_| Wire::connect(url)).collect());
            self.status = [b'I'; 2];
        }
        self.runs += 1;
        let difference = self.reset().or_else(|| self.compare(conversation));
        if difference.is_some() {
            self.runs = 0;
        }
        difference
    }

    fn reset(&mut self) -> Option<String> {
        (0..2).find_map(|session| self.roll_back(session)).or_else(|| {
            let both = |sql| (0..2).map(move |session| (session, sql));
            both("discard all").chain(both("delete from child; delete from t")).find_map(|(session, sql)| {
                let answers = [0, 1].map(|side| self.sides[side][session].query(sql));
                let idle = answers.iter().all(|answer| answer.ends_with('I'));
                (!idle).then(|| format!("reset with {sql}: {answers:?}"))
            })
        })
    }

    /// Ends the transaction of a session, so that the other may go on: sessions of a sandbox take turns.
    fn roll_back(&mut self, session: usize) -> Option<String> {
        if std::mem::replace(&mut self.status[session], b'I') == b'I' {
            return None;
        }
        let answers = [0, 1].map(|side| {
            let wire = &mut self.sides[side][session];
            wire.send(&query("rollback"));
            normal(&wire.until_ready())
        });
        (answers[0] != answers[1]).then(|| format!("rollback of session {session}: {answers:?}"))
    }

    fn compare(&mut self, conversation: &Conversation) -> Option<String> {
        for (number, turn) in conversation.iter().enumerate() {
            if let Some(difference) = self.roll_back(1 - turn.session) {
                return Some(format!("before turn {number}: {difference}"));
            }
            let turn = without_dead_portals(turn, self.status[turn.session]);
            let [plain, sandbox] = [0, 1].map(|side| take(&turn, &mut self.sides[side][turn.session]));
            self.status[turn.session] = *plain.last().and_then(|m| m.body.first()).unwrap_or(&b'?');
            let [plain, sandbox] = [plain, sandbox].map(|messages| normal(&messages));
            if plain != sandbox {
                return Some(format!(
                    "turn {number}\n  server:  {}\n  sandbox: {}",
                    plain.join("\n           "),
                    sandbox.join("\n           ")
                ));
            }
        }
        None
    }
}

/// A server (15.18) crashes when a portal is described or run whose transaction has failed since it was bound.
fn without_dead_portals(turn: &Turn, status: u8) -> Turn {
    let mut turn = turn.clone();
    for (number, batch) in turn.batches.iter_mut().enumerate() {
        let Batch::Extended(messages) = batch else { continue };
        let mut bound = Vec::new();
        for message in messages {
            match message {
                Extended::Bind(portal, _) => bound.push(*portal),
                Extended::Run(_) | Extended::With(..) => bound.push(""),
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

/// Sends a turn, and returns all answers.
fn take(turn: &Turn, wire: &mut Wire) -> Vec<Message> {
    let out: Vec<u8> = turn.batches.iter().flat_map(bytes).collect();
    wire.send(&out);
    let mut messages = Vec::new();
    for batch in &turn.batches {
        while let Some(message) = wire.next() {
            let tag = message.tag;
            messages.push(message);
            if tag == b'G' {
                let mut data: Vec<u8> = turn.copy.iter().flat_map(|line| frame(b'd', line.as_bytes())).collect();
                data.extend(if turn.copy_fails { frame(b'f', b"no\0") } else { frame(b'c', b"") });
                if matches!(batch, Batch::Extended(_)) {
                    // The Sync that was sent with the batch is lost inside the copy.
                    data.extend(frame(b'S', b""));
                }
                wire.send(&data);
            }
            if tag == b'Z' {
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
        Batch::Extended(messages) => {
            let mut out: Vec<u8> = messages.iter().flat_map(message).collect();
            out.extend(frame(b'S', b""));
            out
        }
    }
}

fn message(message: &Extended) -> Vec<u8> {
    let named = |tag: u8, kind: &u8, name: &str| frame(tag, &[&[*kind], name.as_bytes(), b"\0"].concat());
    let run = |sql: &str, values: &[&str]| {
        [parse_message("", sql), bind("", "", values), named(b'D', &b'P', ""), execute("", 0)].concat()
    };
    match message {
        Extended::Parse(name, sql) => parse_message(name, sql),
        Extended::Bind(portal, name) => bind(portal, name, &[]),
        Extended::Describe(kind, name) => named(b'D', kind, name),
        Extended::Execute(portal, rows) => execute(portal, *rows),
        Extended::Close(kind, name) => named(b'C', kind, name),
        Extended::Flush => frame(b'H', b""),
        Extended::Run(sql) => run(sql, &[]),
        Extended::With(sql, value) => run(sql, &[value]),
    }
}

/// Messages as text, without what may differ.
fn normal(messages: &[Message]) -> Vec<String> {
    let mut texts: Vec<_> = messages.iter().map(text).filter(|m| !m.contains("skipping cleanup for portal")).collect();
    texts.chunk_by_mut(|a, b| a.starts_with('S') && b.starts_with('S')).for_each(<[_]>::sort);
    texts
}

fn text(message: &Message) -> String {
    match message.tag {
        b'E' | b'N' => {
            let fields = message.body.split(|b| *b == 0).filter(|f| !f.is_empty());
            let fields = fields.filter(|f| !matches!(f[0], b'F' | b'L' | b'R'));
            let fields = fields.map(|f| String::from_utf8_lossy(f).into_owned());
            let fields =
                fields.map(|f| f.split(" The test runs inside one transaction").next().unwrap_or_default().to_owned());
            let fields = fields.filter(|f| !f.starts_with("HThe test runs inside one transaction"));
            format!("{} {}", message.tag as char, fields.collect::<Vec<_>>().join(" | "))
        }
        b'T' => format!("T {}", columns(&message.body).join(" | ")),
        tag => format!("{} {}", tag as char, message.body.escape_ascii()),
    }
}

/// The columns of a row description without the identifiers of their tables.
fn columns(body: &[u8]) -> Vec<String> {
    let mut columns = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let name = String::from_utf8_lossy(&rest[..end]);
        columns.push(format!("{name} {:?}", &rest[end + 5..end + 19]));
        rest = &rest[end + 19..];
    }
    columns
}

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
        Wire::connect(&self.admin).query(&format!("drop database {} with (force)", self.name));
    }
}

/// Two sessions on either side.
pub(crate) struct Pair<'a> {
    plain: &'a Plain,
    sandbox: &'a str,
    sides: [Vec<Wire>; 2],
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
        Pair { plain, sandbox, sides: [Vec::new(), Vec::new()], runs: 0 }
    }

    /// Has the conversation on both sides; returns how they differ first.
    pub(crate) fn run(&mut self, conversation: &Conversation) -> Option<String> {
        if self.runs.is_multiple_of(50) {
            self.sides = [&self.plain.url, self.sandbox].map(|url| (0..2).map(|_| Wire::connect(url)).collect());
        }
        self.runs += 1;
        let difference = self.reset().or_else(|| self.compare(conversation));
        if difference.is_some() {
            self.runs = 0;
        }
        difference
    }

    fn reset(&mut self) -> Option<String> {
        // All transactions end before anything needs what they have locked.
        for sql in ["rollback", "discard all", "delete from child; delete from t"] {
            for session in 0..2 {
                let answers = [0, 1].map(|side| self.sides[side][session].query(sql));
                if !answers[0].ends_with('I') || !answers[1].ends_with('I') {
                    return Some(format!("reset with {sql}: {answers:?}"));
                }
            }
        }
        None
    }

    fn compare(&mut self, conversation: &Conversation) -> Option<String> {
        let mut status = [b'I'; 2];
        for (number, turn) in conversation.iter().enumerate() {
            let other = 1 - turn.session;
            if status[other] != b'I' {
                // Sessions of a sandbox take turns.
                let answers = [0, 1].map(|side| self.sides[side][other].query("rollback").replace("01000? ", ""));
                if answers[0] != answers[1] {
                    return Some(format!("rollback before turn {number}: {answers:?}"));
                }
                status[other] = b'I';
            }
            let [plain, sandbox] = [0, 1].map(|side| take(turn, &mut self.sides[side][turn.session]));
            status[turn.session] = *plain.last().and_then(|m| m.body.first()).unwrap_or(&b'?');
            let [plain, sandbox] = [plain, sandbox].map(|messages| {
                messages.iter().map(normal).filter(|m| !m.contains("skipping cleanup for portal")).collect::<Vec<_>>()
            });
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
        Batch::Extended(messages) => {
            let mut out: Vec<u8> = messages.iter().flat_map(message).collect();
            out.extend(frame(b'S', b""));
            out
        }
    }
}

fn message(message: &Extended) -> Vec<u8> {
    let named = |tag: u8, kind: &u8, name: &str| frame(tag, &[&[*kind], name.as_bytes(), b"\0"].concat());
    match message {
        Extended::Parse(name, sql) => parse_message(name, sql),
        Extended::Bind(portal, name) => bind(portal, name, &[]),
        Extended::Describe(kind, name) => named(b'D', kind, name),
        Extended::Execute(portal, rows) => execute(portal, *rows),
        Extended::Close(kind, name) => named(b'C', kind, name),
        Extended::Flush => frame(b'H', b""),
        Extended::Run(sql) => {
            [parse_message("", sql), bind("", "", &[]), named(b'D', &b'P', ""), execute("", 0)].concat()
        }
    }
}

/// A message as text, without what may differ.
fn normal(message: &Message) -> String {
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

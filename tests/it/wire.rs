//! A client that speaks the protocol byte by byte, and shows what it hears as text.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::rerun::server_version;

/// A connection, and what has been heard and not been read yet.
pub(crate) struct Wire {
    pub(crate) stream: UnixStream,
    heard: Vec<u8>,
    pub(crate) process: i32,
    pub(crate) secret: i32,
    path: String,
}

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    /// Connects, and returns what the server says up to its first `ReadyForQuery`.
    pub(crate) fn start(url: &str, parameters: &[(&str, &str)]) -> (Wire, Vec<Message>) {
        let (path, user, database) = parse(url);
        let mut wire = Wire::open(&path);
        let mut body = 196_608u32.to_be_bytes().to_vec();
        for (name, value) in [("user", &*user), ("database", &*database)].into_iter().chain(parameters.iter().copied())
        {
            body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        body.push(0);
        wire.send(&[&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat());
        let messages = wire.until_ready();
        if let Some(key) = messages.iter().find(|m| m.tag == b'K') {
            wire.process = i32::from_be_bytes(key.body[..4].try_into().unwrap());
            wire.secret = i32::from_be_bytes(key.body[4..].try_into().unwrap());
        }
        (wire, messages)
    }

    pub(crate) fn connect(url: &str) -> Wire {
        Wire::start(url, &[]).0
    }

    /// A connection on which nothing has been said.
    pub(crate) fn open(path: &str) -> Wire {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Wire { stream, heard: Vec::new(), process: 0, secret: 0, path: path.to_owned() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message; `None`: the server has closed the connection, or says nothing for long.
    pub(crate) fn next(&mut self) -> Option<Message> {
        loop {
            if self.heard.len() >= 5 {
                let length = u32::from_be_bytes(self.heard[1..5].try_into().unwrap()) as usize;
                if self.heard.len() > length {
                    let rest = self.heard.split_off(length + 1);
                    let frame = std::mem::replace(&mut self.heard, rest);
                    return Some(Message { tag: frame[0], body: frame[5..].to_vec() });
                }
            }
            let mut buffer = [0; 16384];
            match self.stream.read(&mut buffer) {
                Ok(n) if n > 0 => self.heard.extend_from_slice(&buffer[..n]),
                _ => return None,
            }
        }
    }

    /// Everything up to `ReadyForQuery`, or to the end of the stream.
    pub(crate) fn until_ready(&mut self) -> Vec<Message> {
        self.until(|message| message.tag == b'Z')
    }

    pub(crate) fn until(&mut self, is_last: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            let last = is_last(&message);
            messages.push(message);
            if last {
                break;
            }
        }
        messages
    }

    /// Runs a simple query, and shows the answers but `RowDescription`.
    pub(crate) fn query(&mut self, sql: &str) -> String {
        self.send(&query(sql));
        show(&self.until_ready())
    }

    /// Runs each statement through the extended protocol, all of them before one Sync.
    pub(crate) fn pipeline(&mut self, statements: &[&str]) -> String {
        let mut out = Vec::new();
        for sql in statements {
            out.extend(parse_message("", sql));
            out.extend(bind("", "", &[]));
            out.extend(execute("", 0));
        }
        out.extend(frame(b'S', b""));
        self.send(&out);
        show(&self.until_ready().into_iter().filter(|m| !matches!(m.tag, b'1' | b'2')).collect::<Vec<_>>())
    }

    /// Asks for what runs on this connection to be cancelled, and waits until the request has been taken.
    pub(crate) fn cancel(&self) {
        let mut other = UnixStream::connect(&self.path).unwrap();
        let words = [16, 80_877_102, self.process, self.secret];
        other.write_all(&words.map(i32::to_be_bytes).concat()).unwrap();
        let _ = other.read(&mut [0]);
    }
}

/// The socket, user and database of a URL with a socket's folder as its host.
pub(crate) fn parse(url: &str) -> (String, String, String) {
    let rest = url.split_once("://").unwrap().1;
    let (authority, database) = rest.split_once('/').unwrap();
    let (user, address) = authority.split_once('@').unwrap();
    let (host, port) = address.rsplit_once(':').unwrap();
    let plain = |text: &str| text.replace("%2F", "/").replace("%2f", "/");
    (format!("{}/.s.PGSQL.{port}", plain(host)), plain(user), plain(database))
}

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

pub(crate) fn parse_message(name: &str, sql: &str) -> Vec<u8> {
    frame(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

pub(crate) fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend((values.len() as u16).to_be_bytes());
    for value in values {
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

pub(crate) fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

/// Messages as text, in a line.
pub(crate) fn show(messages: &[Message]) -> String {
    // PostgreSQL 18 reports the search path, earlier versions do not.
    let told = |m: &&Message| m.tag != b'T' && !(m.tag == b'S' && m.body.starts_with(b"search_path"));
    let shown = messages.iter().filter(told).map(Message::show);
    shown.collect::<Vec<_>>().join(" ")
}

impl Message {
    pub(crate) fn show(&self) -> String {
        let tag = self.tag as char;
        match self.tag {
            b'D' => format!("({})", values(&self.body).join(",")),
            b'C' => text(&self.body),
            b'Z' => text(&self.body),
            b'S' => text(&self.body).replace('\0', "="),
            b'E' => format!("{}!", self.field(b'C').unwrap_or_default()),
            b'N' => format!("{}?", self.field(b'C').unwrap_or_default()),
            _ => format!("{tag}"),
        }
    }

    /// A field of an error or notice.
    pub(crate) fn field(&self, kind: u8) -> Option<String> {
        let mut fields = self.body.split(|b| *b == 0).filter(|f| !f.is_empty());
        fields.find(|f| f[0] == kind).map(|f| text(&f[1..]))
    }
}

/// The report of what transactions are by default, which a server makes since version 14.
pub(crate) fn read_only(value: &str) -> String {
    if server_version() < 14 { String::new() } else { format!(" default_transaction_read_only={value}") }
}

/// The values of a row.
pub(crate) fn values(mut body: &[u8]) -> Vec<String> {
    let mut take = |n: usize| {
        let (first, rest) = body.split_at(n);
        body = rest;
        first
    };
    let columns = u16::from_be_bytes(take(2).try_into().unwrap());
    (0..columns)
        .map(|_| match i32::from_be_bytes(take(4).try_into().unwrap()) {
            -1 => "null".to_owned(),
            n => text(take(n as usize)),
        })
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

//! A client that speaks the protocol with as little of its own as can be: what is measured is the other end.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// How many bytes have come and gone.
    pub bytes: usize,
}

impl Wire {
    /// Connects to a URL with a socket's folder as its host.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn connect(url: &str) -> Wire {
        let (user, rest) = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).expect("a URL with a user");
        let (address, database) = rest.split_once('/').expect("a URL with a database");
        let (folder, port) = address.rsplit_once(':').expect("a URL with a port");
        let path = format!("{}/.s.PGSQL.{port}", folder.replace("%2F", "/").replace("%2f", "/"));
        let stream = UnixStream::connect(path).expect("the server listens");
        let mut wire = Wire { stream, buffer: vec![0; 256 * 1024], bytes: 0 };
        let body = format!("user\0{user}\0database\0{database}\0\0");
        let length = (body.len() as u32 + 8).to_be_bytes();
        wire.exchange(&[&length[..], &196_608u32.to_be_bytes(), body.as_bytes()].concat());
        wire
    }

    /// Sends bytes, without waiting for an answer.
    ///
    /// # Panics
    ///
    /// If the connection has broken.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection stands");
        self.bytes += bytes.len();
    }

    /// Sends bytes, and reads up to `ReadyForQuery`.
    pub fn exchange(&mut self, bytes: &[u8]) {
        self.send(bytes);
        self.read_until(b'Z', &mut |_, _| {});
    }

    /// Runs a simple query.
    pub fn run(&mut self, sql: &str) {
        self.exchange(&query(sql));
    }

    /// The first value of the first row.
    #[must_use]
    pub fn ask(&mut self, sql: &str) -> String {
        self.send(&query(sql));
        let mut value = String::new();
        self.read_until(b'Z', &mut |tag, body| {
            if tag == b'D' {
                value = String::from_utf8_lossy(&body[6..]).into_owned();
            }
        });
        value
    }

    /// Copies a chunk in, so many times.
    pub fn copy_in(&mut self, sql: &str, chunk: &[u8], count: usize, end: &[u8]) {
        self.send(&query(sql));
        self.read_until(b'G', &mut |_, _| {});
        (0..count).for_each(|_| self.send(chunk));
        self.exchange(end);
    }

    /// Reads up to a message with this tag; an error is one of the benchmark's.
    fn read_until(&mut self, last: u8, see: &mut dyn FnMut(u8, &[u8])) {
        let (mut start, mut end) = (0, 0);
        loop {
            while end - start >= 5 {
                let frame = &self.buffer[start..end];
                let total = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize + 1;
                if frame.len() < total {
                    assert!(total < self.buffer.len(), "a message of {total} bytes");
                    break;
                }
                let tag = frame[0];
                assert!(tag != b'E', "{}", String::from_utf8_lossy(&frame[5..total]));
                see(tag, &frame[5..total]);
                start += total;
                if tag == last {
                    return;
                }
            }
            self.buffer.copy_within(start..end, 0);
            (start, end) = (0, end - start);
            let count = self.stream.read(&mut self.buffer[end..]).expect("the connection stands");
            assert!(count > 0, "the connection has been closed");
            end += count;
            self.bytes += count;
        }
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

/// A simple query.
#[must_use]
pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// Prepares a statement, and says nothing more.
#[must_use]
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

/// Runs a prepared statement, up to its Sync.
#[must_use]
pub fn bind_execute(name: &str) -> Vec<u8> {
    let bind = frame(b'B', &[b"\0", name.as_bytes(), &[0; 7]].concat());
    [bind, frame(b'E', &[0; 5]), frame(b'S', b"")].concat()
}

/// A portion of copy data.
#[must_use]
pub fn copy_data(bytes: &[u8]) -> Vec<u8> {
    frame(b'd', bytes)
}

/// The end of copy data.
#[must_use]
pub fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

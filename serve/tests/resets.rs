//! Clients of the port that are reset, or close one half, in every phase: each ends alone. And those that it does not let in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// The command, its input, its port and the password of that.
struct Serve {
    child: Child,
    input: Option<ChildStdin>,
    port: u16,
    password: String,
}

impl Serve {
    fn start() -> Serve {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ptest-serve"))
            .args(["--turn-timeout-ms", "10000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let (password, rest) = url.strip_prefix("postgres://postgres:").unwrap().split_once("@127.0.0.1:").unwrap();
        let port = rest.strip_suffix("/postgres\n").unwrap().parse().unwrap();
        Serve { input: child.stdin.take(), child, port, password: password.to_owned() }
    }

    fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn connect(&self) -> TcpStream {
        let mut stream = self.start_up();
        stream.write_all(&frame(b'p', &[self.password.as_bytes(), b"\0"].concat())).unwrap();
        until(&mut stream, b"ZE");
        stream
    }

    /// A client that is asked for its password.
    fn start_up(&self) -> TcpStream {
        let mut stream = self.open();
        let parameters = b"\0\x03\0\0user\0postgres\0\0";
        stream.write_all(&[&(parameters.len() as u32 + 4).to_be_bytes()[..], parameters].concat()).unwrap();
        let mut asked = [0; 9];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"R\0\0\0\x08\0\0\0\x03", "the password, in the clear");
        stream
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// Reads up to a message with one of these tags, and returns the rows before it and its tag.
fn until(stream: &mut TcpStream, tags: &[u8]) -> (Vec<Vec<u8>>, u8) {
    let mut rows = Vec::new();
    loop {
        let mut header = [0; 5];
        stream.read_exact(&mut header).unwrap();
        let mut body = vec![0; u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize - 4];
        stream.read_exact(&mut body).unwrap();
        if tags.contains(&header[0]) {
            return (rows, header[0]);
        }
        if header[0] == b'D' {
            rows.push(body.split_off(6));
        }
    }
}

/// The only value of the answer.
fn ask(stream: &mut TcpStream, sql: &str) -> String {
    stream.write_all(&query(sql)).unwrap();
    let (rows, _) = until(stream, b"Z");
    rows.first().map(|row| String::from_utf8_lossy(row).into_owned()).unwrap_or_default()
}

/// What a client says, and the message that it waits for before it goes.
fn phases() -> Vec<(&'static str, Vec<u8>, &'static [u8])> {
    let large = "select repeat('x', 1000) from generate_series(1, 200000)";
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let batch =
        [frame(b'P', b"\0insert into t values (666)\0\0\0"), frame(b'B', &[0; 8]), frame(b'E', &[0; 5])].concat();
    vec![
        ("idle", query("select 1"), b"Z"),
        ("in a transaction", query("begin; insert into t values (666)"), b"Z"),
        ("in a failed transaction", query("begin; select 1/0"), b"Z"),
        ("in COPY in", [query("copy t from stdin"), frame(b'd', b"666\n")].concat(), b"G"),
        ("in half of a copy message", [query("copy t from stdin"), half(frame(b'd', b"666666\n"))].concat(), b"G"),
        ("in COPY out", query(&format!("copy ({large}) to stdout")), b"d"),
        ("in a large result", query(large), b"D"),
        ("in half a message", half(query("insert into t values (666)")), b""),
        ("in a batch without Sync", batch, b""),
    ]
}

#[test]
fn a_client_that_is_reset_ends_alone() {
    let mut serve = Serve::start();
    let mut other = serve.connect();
    ask(&mut other, "create table t (a int)");
    for reset in [true, false] {
        for waits in [false, true] {
            for (phase, bytes, answer) in phases() {
                let mut client = serve.connect();
                if waits {
                    // It has not got its turn yet.
                    ask(&mut other, "begin");
                }
                client.write_all(&bytes).unwrap();
                if !waits && !answer.is_empty() {
                    until(&mut client, answer);
                }
                if reset {
                    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                } else {
                    client.shutdown(Shutdown::Write).unwrap();
                    if !waits {
                        // What it asked for is still answered.
                        client.read_to_end(&mut Vec::new()).unwrap();
                    }
                }
                drop(client);
                if waits {
                    ask(&mut other, "commit");
                }
                assert_eq!(ask(&mut other, "select count(*) from t"), "0", "{phase}, reset: {reset}, waits: {waits}");
            }
        }
    }
    drop(serve.input.take());
    assert!(serve.child.wait().unwrap().success());
}

#[test]
fn a_client_that_is_reset_before_it_has_begun() {
    let mut serve = Serve::start();
    let mut other = serve.connect();
    for bytes in
        [&b""[..], b"\0\0", b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\x01\0\0\x03\0\0user\0", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut client = serve.open();
        client.write_all(bytes).unwrap();
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(ask(&mut other, "select 1"), "1");
    }
    drop(serve.input.take());
    assert!(serve.child.wait().unwrap().success());
}

#[test]
fn who_does_not_know_the_password_is_not_let_in() {
    let mut serve = Serve::start();
    let mut other = serve.connect();
    let half = &serve.password[..16];
    for answer in [
        frame(b'p', b"\0"),
        frame(b'p', b"postgres\0"),
        frame(b'p', &[half.as_bytes(), b"\0"].concat()),
        query("create table mine ()"),
        [frame(b'p', b"\0"), query("create table mine ()")].concat(),
        frame(b'p', &vec![b'a'; 100_000]),
    ] {
        let mut client = serve.start_up();
        // It may be gone already.
        let _ = client.write_all(&answer);
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said);
        let refused = said.windows(6).any(|bytes| bytes == b"C28P01");
        assert!(said.is_empty() || (said[0] == b'E' && refused), "{}", String::from_utf8_lossy(&said));
    }
    assert_eq!(ask(&mut other, "select count(*) from pg_class where relname = 'mine'"), "0");
    drop(serve.input.take());
    assert!(serve.child.wait().unwrap().success());
}

//! Messages that make no sense: each ends its session alone, as soon as it shows.

use std::io::Write;

use ptest::PgUrl;

use crate::wire::{Wire, bind, execute, frame, parse_message, query, show};

/// What a session may be at.
const STATES: [&str; 4] = ["select 1", "begin; insert into t values (666)", "begin; select 1/0", "copy t from stdin"];

fn header(tag: u8, length: u32) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes()].concat()
}

#[ptest::db_test(migrations = false)]
fn what_no_message_can_be_is_refused_at_once(url: PgUrl) {
    let mut other = Wire::connect(url.as_str());
    other.query("create table t (a int)");
    for bytes in [
        b"!".to_vec(),
        b"\0".to_vec(),
        b"GET / HTTP/1.1".to_vec(),
        header(b'Q', 1 << 30),
        header(b'B', u32::MAX),
        header(b'd', 1 << 30),
        header(b'd', 3),
        header(b'S', 10_001),
        header(b'E', 20 << 20),
    ] {
        for state in STATES {
            let mut wire = Wire::connect(url.as_str());
            wire.send(&query(state));
            wire.until(|message| matches!(message.tag, b'Z' | b'G'));
            wire.send(&bytes);
            let answer = wire.until_ready();
            assert_eq!(show(&answer), "08P01!", "{:?} after {state}", bytes.escape_ascii().to_string());
            assert!(wire.next().is_none());
            assert_eq!(other.query("select count(*) from t"), "(0) SELECT 1 I", "{state}");
        }
    }
}

#[ptest::db_test(migrations = false)]
fn a_large_bind_whose_names_do_not_end(url: PgUrl) {
    let mut other = Wire::connect(url.as_str());
    for sent in [70 << 10, 200 << 10] {
        let mut wire = Wire::connect(url.as_str());
        wire.query("begin");
        wire.send(&frame(b'B', &[b'x'; 200 << 10])[..sent]);
        assert_eq!(show(&wire.until_ready()), "08P01!");
        assert!(wire.next().is_none());
        assert_eq!(other.query("select 1"), "(1) SELECT 1 I");
    }
}

/// The server has been promised so much, and gets it.
#[ptest::db_test(migrations = false)]
fn a_large_message_that_breaks_off(url: PgUrl) {
    const LARGE: usize = 100 << 20;
    let mut other = Wire::connect(url.as_str());
    other.query("create table t (a text)");
    let large = frame(b'd', &vec![b'x'; LARGE]);
    let values = [&b"\0\0\0\0\0\x01"[..], &(LARGE as u32).to_be_bytes(), &vec![b'x'; LARGE], b"\0\0"].concat();
    let many_rows = "select repeat('x', 1000) from generate_series(1, 20000)";
    let batch = |sql: &str| [parse_message("", sql), bind("", "", &[]), execute("", 0)].concat();
    for (before, message) in [
        (query("copy t from stdin"), large.clone()),
        (batch("copy t from stdin"), large),
        (parse_message("", "insert into t values ($1)"), frame(b'B', &values)),
        // Rows that nobody reads stand between the server and the rest of the message.
        ([batch(many_rows), parse_message("", "insert into t values ($1)")].concat(), frame(b'B', &values)),
        (Vec::new(), query(&"x".repeat(LARGE))),
    ] {
        let mut wire = Wire::connect(url.as_str());
        wire.send(&before);
        wire.send(&message[..300 << 10]);
        drop(wire);
        assert_eq!(other.query("select count(*) from t"), "(0) SELECT 1 I");
    }
}

#[ptest::db_test(migrations = false)]
fn strings_that_are_not_utf8(url: PgUrl) {
    let mut wire = Wire::connect(url.as_str());
    let sync = frame(b'S', b"");
    let parse = |name: &[u8], text: &[u8]| frame(b'P', &[name, b"\0", text, b"\0\0\0"].concat());
    let value = frame(b'B', b"\0good\0\0\0\0\x01\0\0\0\x01\xff\0\0");
    for (messages, answer) in [
        (frame(b'Q', b"select '\xff'\0"), "22021! I"),
        (frame(b'Q', b"begin; savepoint \xff\0"), "22021! I"),
        (frame(b'Q', b"select 1; begin; select '\xff'\0"), "22021! I"),
        ([parse(b"", b"select '\xff'"), sync.clone()].concat(), "22021! I"),
        ([parse(b"\xff", b"select 1"), sync.clone()].concat(), "22021! I"),
        ([parse(b"good", b"select $1::text"), value, execute("", 0), sync.clone()].concat(), "1 22021! I"),
        ([frame(b'D', b"S\xff\0"), sync.clone()].concat(), "22021! I"),
        ([frame(b'C', b"P\xff\0"), sync.clone()].concat(), "22021! I"),
        ([frame(b'E', b"\xff\0\0\0\0\0"), sync.clone()].concat(), "22021! I"),
    ] {
        wire.send(&messages);
        let shown = show(&wire.until_ready());
        assert_eq!(shown, answer, "{}", messages.escape_ascii());
        assert_eq!(wire.query("select 1"), "(1) SELECT 1 I");
    }
}

/// A malformed message is refused also while somebody else has the turn.
#[ptest::db_test(migrations = false)]
fn what_makes_no_sense_waits_for_no_turn(url: PgUrl) {
    let (mut holder, mut wire) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    holder.query("begin");
    wire.stream.write_all(b"?").unwrap();
    assert_eq!(show(&wire.until_ready()), "08P01!");
    assert_eq!(holder.query("commit"), "COMMIT I");
}

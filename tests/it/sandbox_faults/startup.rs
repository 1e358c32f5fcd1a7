//! Start-ups that make no sense, and requests to cancel with a wrong key.

use std::io::{Read, Write};

use ptest::PgUrl;

use super::seeded;
use crate::wire::{Wire, parse, query, show};

/// A message without a tag: its length, a code, and the rest.
fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
    [&(rest.len() as u32 + 8).to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
}

#[ptest::db_test(migrations = false)]
fn a_start_up_that_makes_no_sense_is_the_end_of_it(url: PgUrl) {
    let path = parse(url.as_str()).0;
    let mut other = Wire::connect(url.as_str());
    for (what, bytes, answer) in [
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), ""),
        ("version 2", packet(2 << 16, &[0; 288]), "0A000!"),
        ("version 4", packet(4 << 16, b"user\0postgres\0\0"), "0A000!"),
        ("a length that is too short", 7u32.to_be_bytes().to_vec(), ""),
        ("a length that is too long", 10_001u32.to_be_bytes().to_vec(), ""),
        ("a length of a gigabyte", (1u32 << 30).to_be_bytes().to_vec(), ""),
        ("no parameters", packet(3 << 16, b""), "08P01!"),
        ("a name without a value", packet(3 << 16, b"user\0"), "08P01!"),
        ("a value without an end", packet(3 << 16, b"user\0postgres"), "08P01!"),
        ("a cancel request that is cut", packet(80_877_102, b"\0\0"), "0A000!"),
        ("TLS after all", [packet(80_877_103, b""), b"\x16\x03\x01\x02\0\x01".to_vec()].concat(), ""),
    ] {
        let mut wire = Wire::open(&path);
        wire.send(&bytes);
        if what.starts_with("TLS") {
            wire.stream.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(show(&wire.until_ready()), answer, "{what}");
        assert!(wire.next().is_none(), "{what}");
        assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "{what}");
    }
}

#[ptest::db_test(migrations = false)]
fn a_cancel_request_with_a_wrong_key_cancels_nothing(url: PgUrl) {
    let path = parse(url.as_str()).0;
    let mut wire = Wire::connect(url.as_str());
    let (process, secret) = (wire.process, wire.secret);
    wire.send(&query("select pg_sleep(0.3)"));
    for (process, secret) in [(process, secret ^ 1), (process + 1, secret), (0, secret), (-1, 0), (i32::MAX, secret)] {
        let mut request = Wire::open(&path);
        request.send(&packet(80_877_102, &[process.to_be_bytes(), secret.to_be_bytes()].concat()));
        assert!(request.next().is_none());
    }
    assert_eq!(show(&wire.until_ready()), "() SELECT 1 I");
    wire.send(&query("do $$ begin raise notice 'running'; perform pg_sleep(60); end $$"));
    // A request that comes before the query cancels nothing.
    assert_eq!(wire.next().map(|message| message.tag), Some(b'N'));
    wire.cancel();
    assert_eq!(show(&wire.until_ready()), "57014! I");
}

#[ptest::db_test(migrations = false)]
fn random_start_ups_do_no_harm(url: PgUrl) {
    let mut random = seeded();
    let path = parse(url.as_str()).0;
    let mut other = Wire::connect(url.as_str());
    for round in 0..300 {
        let mut bytes = match random.below(4) {
            0 => packet(3 << 16, b"user\0postgres\0options\0-c work_mem=1MB\0\0"),
            1 => packet(80_877_102, &[0; 8]),
            2 => packet(80_877_103, b""),
            _ => (0..random.below(40)).map(|_| random.below(256) as u8).collect(),
        };
        if !bytes.is_empty() && random.below(3) > 0 {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        bytes.truncate(random.below(bytes.len() + 8));
        let mut wire = Wire::open(&path);
        let _ = wire.stream.write_all(&bytes);
        if random.below(2) == 0 {
            let _ = wire.stream.shutdown(std::net::Shutdown::Write);
            let _ = wire.stream.read_to_end(&mut Vec::new());
        }
        drop(wire);
        assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "round {round}");
    }
}

#[ptest::db_test(migrations = false)]
fn what_the_server_says_of_a_setting_at_start_up_is_heard(url: PgUrl) {
    let long = "x".repeat(64);
    let (_, heard) = Wire::start(url.as_str(), &[("application_name", &long)]);
    let notices: Vec<_> = heard.iter().filter(|message| message.tag == b'N').filter_map(|m| m.field(b'M')).collect();
    assert_eq!(notices, [format!("identifier \"{long}\" will be truncated to \"{}\"", &long[1..])]);
    // Where the backend is not free at once, it is heard with the first turn.
    let mut holder = Wire::connect(url.as_str());
    holder.query("begin; select 1");
    let (mut late, heard) = Wire::start(url.as_str(), &[("application_name", &long)]);
    assert!(heard.iter().all(|message| message.tag != b'N'));
    holder.query("commit");
    assert!(late.query("select 1").starts_with("42622? (1) SELECT 1 "));
}

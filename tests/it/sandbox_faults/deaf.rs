//! Clients that do not read what they have asked for, stop halfway, or are gone before it comes; and what is left for the
//! next test.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ptest::{PgUrl, TestDatabase};

use super::{phases, seeded};
use crate::rerun::Rerun;
use crate::wire::{Wire, bind, execute, frame, parse_message, query, show};

const LARGE: &str = "select repeat('x', 1000) from generate_series(1, 20000)";

#[ptest::db_test(migrations = false)]
fn a_client_that_reads_nothing_keeps_no_turn(url: PgUrl) {
    let (mut deaf, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    let batch = [parse_message("", LARGE), bind("", "", &[]), execute("", 0), frame(b'S', b"")].concat();
    for asked in [query(LARGE), batch, query(&format!("copy ({LARGE}) to stdout"))] {
        deaf.send(&asked);
        assert_eq!(other.query("select 1"), "(1) SELECT 1 I");
        let rows = deaf.until_ready().into_iter().filter(|message| matches!(message.tag, b'D' | b'd'));
        assert_eq!(rows.count(), 20_000);
    }
}

#[ptest::db_test(migrations = false, turn_timeout = "300ms", audit(turn = "off"))]
fn a_client_that_reads_nothing_in_its_transaction_is_named(url: PgUrl) {
    let (mut deaf, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    deaf.query("begin");
    deaf.send(&query(LARGE));
    other.send(&query("select 1"));
    let refused = other.until_ready();
    assert_eq!(show(&refused), "PT001! I");
    assert!(refused[0].field(b'D').unwrap().contains(LARGE), "{refused:?}");
    assert_eq!(deaf.until_ready().len(), 20_003);
    assert_eq!(deaf.query("commit"), "COMMIT I");
    assert_eq!(other.query("select 1"), "(1) SELECT 1 I");
}

/// The server waits for their next message, and the client that would send it perhaps for the other session.
#[ptest::db_test(migrations = false, turn_timeout = "100ms", audit(turn = "off"))]
fn a_client_that_stops_halfway_is_named(url: PgUrl) {
    let (mut holder, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(holder.query("create table t (a int)"), "CREATE TABLE I");
    let batch = |sql| [parse_message("", sql), bind("", "", &[]), execute("", 0)].concat();
    let (flush, sync, copy) = (frame(b'H', b""), frame(b'S', b""), "copy t from stdin");
    for (begun, told, rest, end) in [
        (query(copy), "G", [frame(b'd', b"1\n"), frame(b'c', b"")].concat(), "COPY 1 I"),
        ([batch(copy), sync.clone()].concat(), "1 2 G", [frame(b'c', b""), sync.clone()].concat(), "COPY 0 I"),
        ([batch(copy), flush.clone()].concat(), "1 2 G", [frame(b'f', b"\0"), sync.clone()].concat(), "57014! I"),
        (batch("insert into t values (2)"), "", sync.clone(), "1 2 INSERT 0 1 I"),
        ([batch("insert into t values (3)"), flush].concat(), "1 2 INSERT 0 1", sync, "I"),
    ] {
        holder.send(&begun);
        let mut heard = Vec::new();
        while show(&heard) != told {
            heard.extend(holder.next());
        }
        // What is not answered may come later than the other's.
        assert!((0..100).any(|_| other.query("select 1") == "PT001! I"), "{told}");
        holder.send(&rest);
        assert_eq!(show(&holder.until_ready()), end);
        assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "{end}");
    }
}

/// What runs until the client has its answer, or asks for it, is no idle transaction.
#[ptest::db_test(migrations = false, turn_timeout = "100ms")]
fn a_client_that_waits_for_a_flush_is_not(url: PgUrl) {
    let (mut holder, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    let sleep = parse_message("", "select 7 from pg_sleep(0.5)");
    holder.send(&[sleep, bind("", "", &[]), execute("", 0), frame(b'H', b"")].concat());
    other.send(&query("select 1"));
    assert_eq!(show(&holder.until(|message| message.tag == b'C')), "1 2 (7) SELECT 1");
    holder.send(&frame(b'S', b""));
    assert_eq!(show(&holder.until_ready()), "I");
    assert_eq!(show(&other.until_ready()), "(1) SELECT 1 I");
}

/// A server ends a statement whose rows it cannot send: this one would run for an hour.
#[ptest::db_test(migrations = false)]
fn a_result_whose_client_is_gone_is_cancelled(url: PgUrl) {
    const ENDLESS: &str = "select repeat('x', 1000) from generate_series(1, 30000) a, generate_series(1, 30000) b";
    let mut other = Wire::connect(url.as_str());
    let batch = [parse_message("", ENDLESS), bind("", "", &[]), execute("", 0), frame(b'S', b"")].concat();
    for asked in [query(ENDLESS), batch, query(&format!("copy ({ENDLESS}) to stdout"))] {
        for before in ["select 1", "begin"] {
            let mut wire = Wire::connect(url.as_str());
            wire.query(before);
            wire.send(&asked);
            assert!(wire.next().is_some());
            drop(wire);
            assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "{before}");
        }
    }
}

#[ptest::db_test(migrations = false, turn_timeout = "50ms", audit(turn = "off"))]
fn clients_that_break_off_at_random(url: PgUrl) {
    let mut random = seeded();
    let mut other = Wire::connect(url.as_str());
    other.query("create table t (a int)");
    for round in 0..100 {
        let holds = random.below(2) == 0;
        if holds {
            assert_eq!(other.query("begin"), "BEGIN T", "round {round}");
        }
        let mut clients = Vec::new();
        for _ in 0..1 + random.below(4) {
            let mut wire = Wire::connect(url.as_str());
            let mut bytes = Vec::new();
            for _ in 0..1 + random.below(3) {
                bytes.extend(&phases()[random.below(phases().len())].1);
            }
            bytes.truncate(1 + random.below(bytes.len() + 20));
            let _ = std::io::Write::write_all(&mut wire.stream, &bytes);
            clients.push(wire);
        }
        while !clients.is_empty() {
            std::thread::sleep(Duration::from_micros(random.below(2000) as u64));
            clients.swap_remove(random.below(clients.len()));
        }
        if holds {
            assert_eq!(other.query("select 1"), "(1) SELECT 1 T", "round {round}");
            assert_eq!(other.query("commit"), "COMMIT I", "round {round}");
        }
        // Those who have gone may still have the turn for a moment.
        let patient = (0..100).any(|_| other.query("select 1") == "(1) SELECT 1 I");
        assert!(patient, "round {round}");
    }
}

/// They are cut off at once, and the slot is clean and kept.
#[test]
fn a_test_that_leaves_broken_clients_behind() {
    for (name, said) in [("a_leaves_all_phases", "was still open"), ("b_leaves_a_refused_batch", "was still open")] {
        let name = format!("sandbox_faults::deaf::inner::{name}");
        let outcome = Rerun::tests(&[&name, "sandbox_faults::deaf::inner::z_is_clean"]).threads(1).run();
        outcome.passed().says(said);
        let databases = outcome.lines("database:");
        assert_eq!(databases[0], databases[1], "{outcome}");
        let took: f64 = outcome.lines("took:")[0].parse().unwrap();
        assert!(took < 4.0, "{outcome}");
    }
}

mod inner {
    use super::*;

    static LEFT: Mutex<Vec<Wire>> = Mutex::new(Vec::new());
    static ENDED: Mutex<Option<Instant>> = Mutex::new(None);

    fn leave(wires: Vec<Wire>, database: &TestDatabase) {
        println!("\ndatabase: {}", database.name());
        LEFT.lock().unwrap().extend(wires);
        *ENDED.lock().unwrap() = Some(Instant::now());
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    fn a_leaves_all_phases(url: PgUrl, database: TestDatabase) {
        Wire::connect(url.as_str()).query("create table t (a int)");
        let mut wires = Vec::new();
        for (_, bytes) in phases() {
            let mut wire = Wire::connect(url.as_str());
            wire.send(&bytes);
            wires.push(wire);
        }
        leave(wires, &database);
    }

    #[ptest::db_test(migrations = false, turn_timeout = "50ms", audit(turn = "off"))]
    #[ignore = "run by another test"]
    fn b_leaves_a_refused_batch(url: PgUrl, database: TestDatabase) {
        let (mut holder, mut refused) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
        holder.query("begin; create table t (a int)");
        refused.send(&parse_message("", "select 1"));
        assert_eq!(refused.next().unwrap().show(), "PT001!");
        leave(vec![holder, refused], &database);
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    fn z_is_clean(url: PgUrl, database: TestDatabase) {
        println!("\ntook: {}", ENDED.lock().unwrap().unwrap().elapsed().as_secs_f64());
        println!("database: {}", database.name());
        assert_eq!(Wire::connect(url.as_str()).query("select to_regclass('t')"), "(null) SELECT 1 I");
    }
}

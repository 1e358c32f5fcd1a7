//! Clients that break off, or make no sense, in every phase; the others never notice.

mod deaf;
mod frames;
mod startup;

use std::io::{Read, Write};
use std::net::Shutdown;

use ptest::PgUrl;

use crate::differential::generate::Random;
use crate::wire::{Wire, bind, execute, frame, parse, parse_message, query, show};

/// What a client may have said when it breaks off.
fn phases() -> Vec<(&'static str, Vec<u8>)> {
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    vec![
        ("nothing", Vec::new()),
        ("half a header", vec![b'Q', 0, 0]),
        ("half a query", half(query("insert into t values (666)"))),
        ("a query under way", query("insert into t select 666 from pg_sleep(0.01)")),
        ("a block", query("begin; insert into t values (666)")),
        ("a failed block", query("begin; insert into t values (666); select 1/0")),
        (
            "a batch without Sync",
            [parse_message("", "insert into t values (666)"), bind("", "", &[]), execute("", 0)].concat(),
        ),
        ("half a batch", [parse_message("", "select 1"), half(bind("", "", &["x"]))].concat()),
        ("copy data", [query("copy t from stdin"), frame(b'd', b"666\n")].concat()),
        ("half of copy data", [query("copy t from stdin"), half(frame(b'd', b"666666666666666666\n"))].concat()),
        (
            "copy in a batch",
            [parse_message("", "copy t from stdin"), bind("", "", &[]), execute("", 0), frame(b'S', b"")].concat(),
        ),
        ("rows that nobody reads", query("select repeat('x', 1000) from generate_series(1, 20000)")),
        ("two batches", [query("select 1"), parse_message("a", "select 2"), frame(b'S', b""), query("begin")].concat()),
    ]
}

/// Of a seed that is printed, or given.
fn seeded() -> Random {
    let given = std::env::var("PTEST_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(u64::from(std::process::id()));
    println!("PTEST_TEST_SEED={seed}");
    Random(seed)
}

#[ptest::db_test(migrations = false)]
fn a_client_that_breaks_off_leaves_nothing(url: PgUrl) {
    let mut other = Wire::connect(url.as_str());
    other.query("create table t (a int)");
    for (phase, bytes) in phases() {
        for how in [None, Some(Shutdown::Write), Some(Shutdown::Both)] {
            let mut wire = Wire::connect(url.as_str());
            wire.send(&bytes);
            if let Some(how) = how {
                let _ = wire.stream.shutdown(how);
            }
            if how == Some(Shutdown::Write) {
                // Half closed: what was asked for is still answered, then the stream ends.
                let _ = wire.stream.read_to_end(&mut Vec::new());
            }
            drop(wire);
            assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "{phase}, {how:?}");
        }
    }
    // Only the query that was whole and on its own may have been committed.
    let left = other.query("select count(*) from t");
    assert!(["(0)", "(1)", "(2)", "(3)"].iter().any(|n| left.starts_with(n)), "{left}");
}

#[ptest::db_test(migrations = false)]
fn a_malformed_message_ends_its_session_alone(url: PgUrl) {
    let mut other = Wire::connect(url.as_str());
    for (what, bytes) in [
        ("an unknown tag", frame(b'!', b"x")),
        ("a length that is too short", vec![b'Q', 0, 0, 0, 1]),
        ("a length that is too long", vec![b'Q', 0x7f, 0xff, 0xff, 0xff]),
        ("a Bind without names", frame(b'B', b"x")),
        ("a Parse without a text", frame(b'P', b"x\0y")),
        ("a Describe of nothing", frame(b'D', b"")),
        ("an Execute without a count", frame(b'E', b"\0")),
    ] {
        for block in ["select 1", "begin"] {
            let mut wire = Wire::connect(url.as_str());
            wire.query(block);
            wire.send(&bytes);
            let answer = wire.until_ready();
            assert_eq!(show(&answer), "08P01!", "{what} after {block}");
            assert_eq!(answer[0].field(b'S').as_deref(), Some("FATAL"), "{what}");
            assert!(wire.next().is_none(), "{what}");
            assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "{what}");
        }
    }
}

#[ptest::db_test(migrations = false)]
fn a_message_behind_the_start_of_a_copy_ends_its_session_alone(url: PgUrl) {
    let mut other = Wire::connect(url.as_str());
    other.query("create table t (a int)");
    let copy = |table: &str| {
        let sql = format!("copy {table} from stdin");
        [parse_message("", &sql), bind("", "", &[]), execute("", 0)].concat()
    };
    let mut wire = Wire::connect(url.as_str());
    wire.send(&[copy("t"), parse_message("", "select 1"), frame(b'S', b"")].concat());
    assert_eq!(show(&wire.until_ready()), "1 2 G 08P01!");
    assert!(wire.next().is_none());
    assert_eq!(other.query("select count(*) from t"), "(0) SELECT 1 I");
    // A copy that does not begin skips what follows.
    other.send(&[copy("missing"), parse_message("", "select 1"), frame(b'S', b"")].concat());
    assert_eq!(show(&other.until_ready()), "1 2 42P01! I");
    let data = [frame(b'd', b"7\n"), frame(b'c', b""), frame(b'S', b"")].concat();
    other.send(&[copy("t"), data].concat());
    assert_eq!(show(&other.until_ready()), "1 2 G COPY 1 I");
}

#[ptest::db_test(migrations = false)]
fn random_bytes_do_no_harm(url: PgUrl) {
    let mut random = seeded();
    let mut other = Wire::connect(url.as_str());
    other.query("create table t (a int)");
    for round in 0..300 {
        let started = random.below(8) > 0;
        // One byte makes minutes of the hundredth of a second that a query sleeps, and what runs keeps the others waiting.
        let start = || Wire::start(url.as_str(), &[("statement_timeout", "1s")]).0;
        let mut wire = if started { start() } else { Wire::open(&parse(url.as_str()).0) };
        let phases = phases();
        let mut bytes = phases[random.below(phases.len() - 2)].1.clone();
        for _ in 0..random.below(4) {
            bytes.extend(&phases[random.below(phases.len() - 2)].1);
        }
        for _ in 0..1 + random.below(6) {
            match random.below(3) {
                0 if !bytes.is_empty() => {
                    let at = random.below(bytes.len());
                    bytes[at] = random.below(256) as u8;
                }
                1 => bytes.truncate(random.below(bytes.len() + 1)),
                _ => bytes.extend((0..random.below(20)).map(|_| random.below(256) as u8)),
            }
        }
        let _ = wire.stream.write_all(&bytes);
        let _ = wire.stream.shutdown(Shutdown::Write);
        let _ = wire.stream.read_to_end(&mut Vec::new());
        assert_eq!(other.query("select 1"), "(1) SELECT 1 I", "round {round}");
    }
}

#[ptest::db_test(migrations = false)]
fn large_messages_pass_through(url: PgUrl) {
    let mut wire = Wire::connect(url.as_str());
    let large = "x".repeat(20 << 20);
    let statement = parse_message("", "select length($1::text)");
    wire.send(&[statement, bind("", "", &[&large]), execute("", 0), frame(b'S', b"")].concat());
    assert_eq!(show(&wire.until_ready()), "1 2 (20971520) SELECT 1 I");
    assert_eq!(wire.query(&format!("select length('{large}')")), "(20971520) SELECT 1 I");
    assert_eq!(wire.query("select length(repeat('y', 100))"), "(100) SELECT 1 I");
    assert_eq!(wire.query("create table t (a text)"), "CREATE TABLE I");
    let data = format!("{large}\n");
    wire.send(&[query("copy t from stdin"), frame(b'd', data.as_bytes()), frame(b'c', b"")].concat());
    assert_eq!(show(&wire.until_ready()), "G COPY 1 I");
}

#[ptest::db_test(migrations = false)]
fn start_up_requests_are_answered_politely(url: PgUrl) {
    let (path, user, database) = parse(url.as_str());
    let mut wire = Wire::open(&path);
    for code in [80_877_104i32, 80_877_103] {
        wire.send(&[8i32.to_be_bytes(), code.to_be_bytes()].concat());
        let mut answer = [0];
        wire.stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"N");
    }
    let parameters = format!("user\0{user}\0database\0{database}\0_pq_.new\x001\0\0");
    wire.send(
        &[&(parameters.len() as u32 + 8).to_be_bytes()[..], &196_610u32.to_be_bytes(), parameters.as_bytes()].concat(),
    );
    let answer = wire.until_ready();
    let negotiation = answer.iter().find(|m| m.tag == b'v').unwrap();
    assert_eq!(negotiation.body, [&[0, 3, 0, 0, 0, 0, 0, 1][..], b"_pq_.new\0"].concat());
    assert_eq!(wire.query("select 1"), "(1) SELECT 1 I");
    let (_, refused) = Wire::start(&url.as_str().replace(&database, "elsewhere"), &[]);
    assert_eq!(show(&refused), "R 3D000!");
}

#[ptest::db_test(migrations = false)]
fn a_function_call_is_answered(url: PgUrl) {
    let mut wire = Wire::connect(url.as_str());
    // int4pl(2, 3), in text.
    let body = [&177u32.to_be_bytes()[..], &[0, 0, 0, 2, 0, 0, 0, 1, b'2', 0, 0, 0, 1, b'3', 0, 0]].concat();
    wire.send(&frame(b'F', &body));
    let answer = wire.until_ready();
    assert_eq!((answer[0].tag, &answer[0].body[4..]), (b'V', &b"5"[..]));
    assert_eq!(answer.len(), 2);
}

/// Fifty sessions on threads of their own move money between accounts, as their seeds say.
#[ptest::db_test(migrations = false)]
fn many_sessions_take_turns(url: PgUrl) {
    const SESSIONS: usize = 50;
    let mut wire = Wire::connect(url.as_str());
    wire.query("create table account (id int primary key, amount int); insert into account select i, 0 from generate_series(0, 9) i");
    wire.query("create table log (n serial, session int)");
    let threads: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let url = url.clone();
            std::thread::spawn(move || {
                let mut random = Random(session as u64);
                let mut wire = Wire::connect(url.as_str());
                let mut model = [0i64; 10];
                for _ in 0..20 {
                    let (account, amount) = (random.below(10), random.below(100) as i64);
                    let update = format!("update account set amount = amount + {amount} where id = {account}");
                    match random.below(4) {
                        0 => {
                            assert_eq!(wire.query(&update), "UPDATE 1 I");
                            model[account] += amount;
                        }
                        1 => assert_eq!(wire.query(&format!("begin; {update}; rollback")), "BEGIN UPDATE 1 ROLLBACK I"),
                        2 => assert_eq!(wire.query(&format!("{update}; select 1/0")), "UPDATE 1 22012! I"),
                        _ => {
                            assert_eq!(wire.query("begin"), "BEGIN T");
                            assert_eq!(
                                wire.pipeline(&[&update, &format!("insert into log (session) values ({session})")]),
                                "UPDATE 1 INSERT 0 1 T"
                            );
                            assert_eq!(wire.query("commit"), "COMMIT I");
                            model[account] += amount;
                        }
                    }
                }
                model
            })
        })
        .collect();
    let mut model = [0i64; 10];
    for thread in threads {
        thread.join().unwrap().iter().zip(&mut model).for_each(|(amount, sum)| *sum += amount);
    }
    let expected: String = model.iter().map(|amount| format!("({amount}) ")).collect();
    assert_eq!(wire.query("select amount from account order by id"), format!("{expected}SELECT 10 I"));
}

#[ptest::db_test(migrations = false)]
fn turns_come_in_order_of_arrival(url: PgUrl) {
    let mut holder = Wire::connect(url.as_str());
    holder.query("create table log (n serial, session int)");
    let mut waiters: Vec<_> = (0..20).map(|_| Wire::connect(url.as_str())).collect();
    holder.query("begin");
    for (session, waiter) in waiters.iter_mut().enumerate() {
        waiter.send(&query(&format!("insert into log (session) values ({session})")));
        // The sandbox has read it when it answers the holder, later.
        holder.query("select 1");
        holder.query("select 1");
    }
    holder.query("commit");
    for waiter in &mut waiters {
        assert_eq!(show(&waiter.until_ready()), "INSERT 0 1 I");
    }
    let order: String = (0..20).map(|session| format!("({session}) ")).collect();
    assert_eq!(holder.query("select session from log order by n"), format!("{order}SELECT 20 I"));
}

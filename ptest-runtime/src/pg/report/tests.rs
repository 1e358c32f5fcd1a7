//! The report as it is printed, of cases that hold still.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::snapshot::Process;
use super::*;
use crate::config::Keep;
use crate::pg::sandbox::{Entry, Failure, Record, Said, SessionState, Text};

fn shown(section: &PostgresSection, keep: Keep) -> String {
    let config = Config::for_test(keep);
    let shown = Shown { test: "users::registers_twice", failed: true, config: &config };
    fmt::from_fn(|f| section.write(f, &shown)).to_string()
}

fn said(sql: &str, bind: &[u8]) -> Arc<Said> {
    Said { text: Text::new(sql.as_bytes()), bind: bind.to_vec() }.into()
}

fn entry(session: u32, sql: &str, started: Instant) -> Entry {
    Entry {
        session,
        said: said(sql, b""),
        started,
        waited: Duration::ZERO,
        took: Some(Duration::from_micros(310)),
        skipped: false,
        rows: None,
        failure: None,
    }
}

fn postgres(slot: Option<u32>, snapshot: Snapshot) -> PostgresSection {
    let server =
        Address::from_url("postgres://postgres@%2Fapp%2Ftarget%2Fptest%2Fserver:5433/postgres", "test").unwrap();
    let database = match slot {
        Some(_) => "ptest_0123456789abcdef_0",
        None => "ptest_0123456789abcdef_used_00000000000000ff",
    };
    PostgresSection { snapshot, ..PostgresSection::new(&server, database, slot, true) }
}

fn statements() -> Record {
    let now = Instant::now();
    let unique: Arc<Failure> = Failure {
        code: "23505".to_owned(),
        message: "duplicate key value violates unique constraint \"users_name_key\"".to_owned(),
        detail: Some("Key (name)=(ada) already exists.".to_owned()),
        ..Failure::default()
    }
    .into();
    let aborted = Failure {
        code: "25P02".to_owned(),
        message: "current transaction is aborted, commands ignored until end of transaction block".to_owned(),
        first: Some(Arc::clone(&unique)),
        ..Failure::default()
    };
    let insert = Entry {
        said: said("insert into users (name)\n  values ($1)\n  returning id", b"\0\0\0\x01\0\0\0\x03ada"),
        rows: Some(1),
        ..entry(1, "", now)
    };
    Record {
        entries: [
            entry(1, "BEGIN", now),
            insert.clone(),
            Entry { rows: None, failure: Some(Arc::clone(&unique)), ..insert },
            Entry { failure: Some(aborted.into()), ..entry(1, "select 1 -- one\nfrom users", now) },
            Entry { skipped: true, ..entry(1, "select 2", now) },
            Entry { rows: Some(7), waited: Duration::from_millis(1200), ..entry(2, "select * from users", now) },
        ]
        .into(),
        forgotten: 0,
        sessions: vec![
            SessionState { id: 1, status: b'E', waits: None, failed: Some(unique) },
            SessionState { id: 2, status: b'I', waits: None, failed: None },
            SessionState { id: 3, status: b'I', waits: None, failed: None },
        ],
    }
}

#[test]
fn of_a_test_that_failed() {
    insta::assert_snapshot!(shown(&postgres(Some(0), Snapshot::after(statements())), Keep::None));
}

#[test]
fn of_a_test_whose_database_is_kept() {
    let mut report = postgres(Some(0), Snapshot::after(Record { forgotten: 100, ..statements() }));
    report.kept = Some(Kept::As("ptest_0123456789abcdef_kept_000000000000002a".to_owned()));
    let as_name = shown(&report, Keep::Failed);
    report.kept = Some(Kept::Not("permission denied (SQLSTATE 42501)".to_owned()));
    let last = shown(&report, Keep::Failed).lines().last().unwrap().to_owned();
    insta::assert_snapshot!(format!("{as_name}\n{last}"));
}

#[test]
fn of_a_test_that_ran_nothing() {
    insta::assert_snapshot!(shown(&postgres(Some(0), Snapshot::after(Record::default())), Keep::None));
}

fn process(pid: &str, state: &str, query: &str) -> Process {
    Process {
        pid: pid.to_owned(),
        application: String::new(),
        state: state.to_owned(),
        wait: None,
        since: Duration::from_millis(198),
        query: query.to_owned(),
        blocked_by: String::new(),
        elsewhere: None,
    }
}

#[test]
fn of_a_test_whose_time_was_up() {
    let at = Instant::now();
    let started = at - Duration::from_millis(198);
    let running = Entry { took: None, ..entry(1, "update users set name = 'bob'", started) };
    let waits = Some((started, Said { text: Text::new(b"select 2"), bind: Vec::new() }));
    let record = Record {
        entries: [entry(3, "LISTEN \"news\"", started), running].into(),
        forgotten: 0,
        sessions: vec![
            SessionState { id: 1, status: b'T', waits: None, failed: None },
            SessionState { id: 2, status: b'I', waits, failed: None },
            SessionState { id: 3, status: b'I', waits: None, failed: None },
        ],
    };
    let ours = Process {
        wait: Some("Lock transactionid".to_owned()),
        blocked_by: "4712".to_owned(),
        ..process("4711", "active", "update users set name = 'bob'")
    };
    let blocker = Process {
        application: "psql".to_owned(),
        elsewhere: Some("postgres".to_owned()),
        ..process("4712", "idle in transaction", "lock table pg_authid")
    };
    let snapshot = Snapshot { at, timed_out: true, record: Some(record), processes: vec![ours, blocker] };
    insta::assert_snapshot!(shown(&postgres(Some(0), snapshot), Keep::None));
}

#[test]
fn of_a_test_with_a_database_of_its_own() {
    let idle = process("4713", "idle in transaction", "lock table users");
    let waits = Process {
        wait: Some("Lock relation".to_owned()),
        blocked_by: "4713".to_owned(),
        ..process("4714", "active", "select count(*)\n  from users where password = 'hunter2'")
    };
    let snapshot = Snapshot { processes: vec![idle, waits], ..Snapshot::now(true) };
    let one = shown(&postgres(None, snapshot), Keep::None);
    let none = shown(&postgres(None, Snapshot::now(false)), Keep::None);
    insta::assert_snapshot!(format!("{one}\n{none}"));
}

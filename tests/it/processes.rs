//! Many processes, one server: started once, migrated once, and no more databases than tests that run at once.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use postgres::Client;
use ptest::TestDatabase;
use sqlx::PgPool;

use crate::package::Package;
use crate::rerun::{ANSWERS, Outcome, Rerun, Running, server_version};
use crate::scratch_server::ScratchServer;
use crate::target::Target;

const STARTS: &str = "creating a PostgreSQL";
const BUILDS: &str = "built the template";

/// Says in every clone which backend has migrated the template, and when.
const MADE: &str = "create table made (n serial, by text default clock_timestamp() || ' ' || pg_backend_pid());
    insert into made default values; select pg_sleep(0.3);";

#[test]
fn a_race_for_the_first_server_and_the_first_template() {
    let (target, package) = (Target::new(), Package::new(&[("migrations/1_made.sql", MADE)]));
    let go = package.path().join("go");
    let test = |binary| target.test_of(binary, "processes::inner::waits").package(&package).env("PTEST_IT_GO", &go);
    let mut all: Vec<_> = (0..8).map(|_| test("it").start()).collect();
    let leased: Vec<String> = all.iter_mut().map(|one| one.wait_for("leased ")).collect();
    std::fs::write(&go, "").unwrap();
    let outcomes: Vec<Outcome> = all.into_iter().map(|one| one.finish()).collect();

    let text: String = outcomes.iter().map(|outcome| outcome.passed().text.as_str()).collect();
    assert_eq!((text.matches(STARTS).count(), text.matches(BUILDS).count()), (1, 1), "{text}");
    assert_eq!(leased.iter().collect::<BTreeSet<_>>().len(), 8, "{leased:?}");
    let by: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| outcome.lines("made by ")).collect();
    assert_eq!(by.len(), 1, "{by:?}");
    for outcome in &outcomes {
        assert_eq!(outcome.lines("databases "), ["9"], "eight slots and the template");
    }

    // Another binary, later: nothing is made anew.
    let mut before = None;
    for binary in ["it", "other", "another", "other", "it"] {
        let outcome = test(binary).run();
        outcome.passed().never_says(STARTS).never_says(BUILDS);
        assert_eq!(outcome.lines("made by ")[..], by.iter().copied().collect::<Vec<_>>()[..]);
        assert_eq!(outcome.lines("databases "), ["9"]);
        assert_eq!(outcome.lines("leased ").len(), 1);
        assert!(leased.iter().any(|name| outcome.lines("leased ") == [name.as_str()]));
        let started = outcome.lines("server since ")[0].to_owned();
        assert_eq!(*before.get_or_insert_with(|| started.clone()), started);
    }
}

#[test]
fn one_after_the_other_needs_one_database() {
    let (target, package) = (Target::new(), Package::new(&[("migrations/1_made.sql", MADE)]));
    for n in 0..20 {
        let outcome = target.test("processes::inner::waits").package(&package).env("PTEST_IT_GO", "/").run();
        assert_eq!(outcome.passed().lines("databases "), ["2"], "a slot and the template, run {n}");
    }
}

#[test]
fn a_kill_while_the_template_is_built() {
    let (target, package) = (Target::new(), Package::new(&[("go", "")]));
    let sleep = "create table slept (); select pg_sleep(case when inet_server_addr() is null then 2 end);";
    package.write("migrations/1_sleep.sql", sleep);
    let run = || target.test("processes::inner::names").package(&package);
    // The server first: its start is of no interest here.
    target.test("processes::inner::lists").run().passed();
    let building = run().start();
    let (mut lists, mut found) = (String::new(), false);
    for _ in 0..200 {
        lists = target.test("processes::inner::lists").run().text;
        found = lists.contains("_build_");
        if found {
            break;
        }
    }
    assert!(found, "{lists}");
    building.kill();

    run().run().passed().says(BUILDS);
    // What it left goes with the next time that a template is built.
    let gone = (0..50).any(|n| {
        let next = Package::new(&[("migrations/1_next.sql", &format!("select {n}"))]);
        target.test("processes::inner::names").package(&next).run().passed();
        !target.test("processes::inner::lists").run().text.contains("_build_")
    });
    assert!(gone, "{}", target.test("processes::inner::lists").run().text);
}

#[test]
fn two_runs_at_once() {
    let binary = std::env::current_exe().unwrap();
    let run = || {
        let mut command = Command::new(&binary);
        command.args(["parameters::postgres::a_", "--test-threads=4"]);
        std::thread::spawn(move || command.output().unwrap())
    };
    for run in [run(), run(), run()] {
        let output = run.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A backend that ends gives up its locks, the lease among them, before it reports what it has written. Held in between, it must
/// not have the next test found guilty of that.
#[test]
fn what_a_killed_test_reports_late_is_not_the_next_ones() {
    // Before version 15 nothing is reported in time, nor believed.
    if server_version() < 15 {
        return;
    }
    let server = ScratchServer::start("", "");
    let tables = "do $$ begin for i in 1..3000 loop execute format('create table t%s (a int)', i); end loop; end $$;
        create table made (by text); insert into made values ('me');";
    let package = Package::new(&[("migrations/1_tables.sql", tables)]);
    let url = server.tcp("postgres").replace("/app", "/postgres");
    // The helper would lend the backend of another slot.
    let on =
        |name: &str| Rerun::test(name).package(&package).env("PTEST_DATABASE_URL", &url).env("PTEST_HELPER", "off");
    let mut locks = server.connect_to("postgres").unwrap();
    for attempt in 0..40 {
        let mut killed = on("processes::inner::writes_much").start();
        let leased = killed.wait_for("leased ");
        let backend = killed.wait_for("backend ");
        let Some(held) = Held::between_locks_and_report(&backend, killed, &mut locks) else { continue };
        let go = package.path().join(format!("go{attempt}"));
        let mut next = on("processes::inner::waits").env("PTEST_IT_GO", &go).start();
        let its = next.wait_for("leased ");
        drop(held);
        let at_work = "select from pg_stat_get_activity(NULL) where pid = $1";
        while !locks.query(at_work, &[&backend.parse::<i32>().unwrap()]).unwrap().is_empty() {}
        std::fs::write(&go, "").unwrap();
        next.finish().passed();
        assert_ne!(its, leased, "somebody was left in it");

        // Nobody holds it any more.
        let again = on("processes::inner::waits").env("PTEST_IT_GO", "/").run();
        assert_eq!(again.passed().lines("leased "), [leased]);
        return;
    }
    panic!("the backend was never held in between");
}

/// A backend that is stopped; it goes on when this is dropped.
struct Held<'p>(&'p str);

impl<'p> Held<'p> {
    /// Kills the client, and lets the backend run in slices until it has given up its locks and has yet to report.
    fn between_locks_and_report(backend: &'p str, client: Running, locks: &mut Client) -> Option<Held<'p>> {
        let held = Held(backend);
        let pid: i32 = backend.parse().unwrap();
        held.signal("STOP");
        client.kill();
        loop {
            let seen = "select exists (select from pg_locks where pid = $1 and locktype = 'advisory'), \
                          exists (select from pg_stat_get_activity(NULL) where pid = $1)";
            // Stopped in the middle of it, the backend would have the question wait for ever.
            let (answered, waits) = std::sync::mpsc::channel::<()>();
            let row = std::thread::scope(|scope| {
                let held = &held;
                scope.spawn(move || {
                    if waits.recv_timeout(Duration::from_secs(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                        held.signal("CONT");
                    }
                });
                let row = locks.query_one(seen, &[&pid]).unwrap();
                drop(answered);
                row
            });
            match (row.get(0), row.get(1)) {
                (false, true) => return Some(held),
                (_, false) => return None,
                (true, true) => {
                    held.signal("CONT");
                    let begun = std::time::Instant::now();
                    while begun.elapsed() < Duration::from_micros(50) {}
                    held.signal("STOP");
                }
            }
        }
    }

    fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([&format!("-{signal}"), self.0]).stderr(std::process::Stdio::null()).status();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.signal("CONT");
    }
}

#[test]
fn a_folder_for_temporary_files_that_is_too_deep_for_sockets() {
    let deep = "a-rather-long-name/".repeat(6);
    let package = Package::new(&[(&format!("{deep}file"), "")]);
    Rerun::test(ANSWERS).package(&package).statements(&[]).env("TMPDIR", package.path().join(deep)).run().passed();
}

#[test]
fn no_folder_for_temporary_files() {
    let package = Package::new(&[]);
    let outcome = Rerun::test(ANSWERS).package(&package).statements(&[]).env("TMPDIR", "/no/where").run();
    outcome.failed().says("cannot open a socket for the test's connections in /no/where").says("(TMPDIR)");
}

#[test]
fn listing_does_no_work() {
    let target = Target::new();
    for args in [&["--list"][..], &["--list", "--format", "terse", "--ignored"], &["--exact", "parameters::none"]] {
        let mut command = Command::new(target.binary("it"));
        let output = command.args(args).env("PTEST_DATABASE_URL", "own").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("parameters::") || text.contains("outcomes::"), "{text}");
        assert!(!target.path().join("ptest").exists(), "{args:?}");
    }
}

#[test]
fn ignored_tests_do_no_work() {
    let target = Target::new();
    let mut command = Command::new(target.binary("it"));
    let output = command.arg("processes::inner::").env("PTEST_DATABASE_URL", "own").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("4 ignored"), "{text}");
    assert!(!target.path().join("ptest").exists());
}

mod inner {
    use super::*;

    /// Writes to many tables, of which its backend has much to report when it ends.
    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn writes_much(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        let insert =
            "do $$ begin for i in 1..3000 loop execute format('insert into t%s values (1)', i); end loop; end $$";
        sqlx::query(insert).execute(&pool).await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&pool).await?;
        println!("leased {}\nbackend {pid}", database.name());
        std::future::pending().await
    }

    const NAMES: &str = r"select datname from pg_database where datname like 'ptest\_%' order by 1";

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn waits(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        println!("leased {}", database.name());
        let go = std::env::var_os("PTEST_IT_GO").unwrap();
        while !std::path::Path::new(&go).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let by: String = sqlx::query_scalar("select by from made").fetch_one(&pool).await?;
        let since: String = sqlx::query_scalar("select pg_postmaster_start_time()::text").fetch_one(&pool).await?;
        let names: Vec<String> = sqlx::query_scalar(NAMES).fetch_all(&pool).await?;
        println!("made by {by}\nserver since {since}\ndatabases {}", names.len());
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn names(pool: PgPool) -> sqlx::Result<()> {
        let names: Vec<String> = sqlx::query_scalar(NAMES).fetch_all(&pool).await?;
        println!("{}", names.iter().map(|name| format!("database {name}\n")).collect::<String>());
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn lists(pool: PgPool) -> sqlx::Result<()> {
        let names: Vec<String> = sqlx::query_scalar(NAMES).fetch_all(&pool).await?;
        println!("{names:?}");
        Ok(())
    }
}

//! The single database, of a user who may create none: everything works in turns, and nothing of others is touched.

use std::thread;
use std::time::Duration;

use ptest::TestDatabase;
use sqlx::{Executor, PgPool, query_scalar};

use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun, server_version};
use crate::scratch_server::ScratchServer;
use crate::servers::rule;

static OTHER: ptest::Database = ptest::database!(migrations = false);

const BUILT: &str = "built the single database `one`";
const NAME: &[&str] = &["select current_database()"];

/// A server on which `guest` may create no database, and owns `one`; it is let into no other.
fn server(sql: &str) -> ScratchServer {
    let sql = format!("create role guest login;create database one owner guest{sql}");
    ScratchServer::start(&rule("all one guest trust"), &sql)
}

fn on(server: &ScratchServer, run: Rerun) -> Rerun {
    run.env("PTEST_DATABASE_URL", server.tcp("guest")).env("PTEST_SINGLE_DATABASE", "one")
}

fn package(column: &str) -> Package {
    let sql = format!("create table account (id serial primary key, name text unique, {column} int);");
    Package::new(&[
        ("migrations/1_account.sql", sql.as_str()),
        ("migrations/2_mood.sql", "create type mood as enum ('sad'); create domain age as int;"),
        ("migrations/3_mood.sql", "-- no-transaction\nalter type mood add value 'glad';"),
        ("migrations/4_index.sql", "-- no-transaction\ncreate index concurrently on account (name);"),
        (
            "migrations/5_more.sql",
            "create schema more; create function more.one() returns int language sql as 'select 1';
            create view more.names as select name from account; create sequence counts; select nextval('counts');",
        ),
    ])
}

/// What a user sees in a database, but for the server's own.
fn objects(server: &ScratchServer) -> Vec<String> {
    let sql =
        "select c.oid::regclass::text from pg_class c where c.oid >= 16384 and relkind in ('r', 'v', 'S') order by 1";
    server.connect_to("one").unwrap().query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn threads_take_turns() {
    let (server, package) = (server(""), package("a"));
    for built in [1, 0] {
        let outcome = on(&server, Rerun::module("single::inner::turn_")).package(&package).threads(4).run();
        assert_eq!(outcome.passed().text.matches(BUILT).count(), built, "{outcome}");
    }
    let accounts = server.connect_to("one").unwrap().query_one("select count(*) from account", &[]).unwrap();
    assert_eq!(accounts.get::<_, i64>(0), 0);
    assert_eq!(server.databases(), ["one", "postgres", "template0", "template1"]);
}

/// Those of one schema have their turns together: a turn of another costs a build.
#[test]
fn several_schemas_take_turns() {
    let (server, package) = (server(""), package("a"));
    let mut run = on(&server, Rerun::module("single::inner::")).package(&package).threads(8);
    for other in ["waits", "escapes", "database", "two"] {
        run.command.args(["--skip", other]);
    }
    let outcome = run.run();
    let built = outcome.passed().text.matches(BUILT).count();
    assert!((2..=6).contains(&built), "{outcome}");
}

/// As nextest does it. The migrations have a `CREATE INDEX CONCURRENTLY`, which waits for whoever is in a statement.
#[test]
fn processes_take_turns() {
    let (server, package) = (server(""), package("a"));
    let names: Vec<String> =
        (0..3).flat_map(|_| ["a", "b", "c", "d"]).map(|n| format!("single::inner::turn_{n}")).collect();
    let runs: Vec<_> = names.iter().map(|name| on(&server, Rerun::test(name)).package(&package).start()).collect();
    let outcomes: Vec<_> = runs.into_iter().map(|run| run.finish()).collect();
    let built: usize = outcomes.iter().map(|outcome| outcome.passed().text.matches(BUILT).count()).sum();
    assert_eq!(built, 1);
}

#[test]
fn another_schema_is_built_anew() {
    let server = server("");
    let count = |column: &str| format!("select count({column}) from account");
    for (column, other, why) in [("a", "b", "it was empty"), ("b", "a", "another schema")] {
        let run = |sql: &str| on(&server, Rerun::test(ANSWERS)).package(&package(column)).statements(&[sql]).run();
        let outcome = run(&count(column));
        outcome.passed().says(&format!("{BUILT} in ")).says(why);
        assert_eq!(outcome.answers(), ["0"]);
        run(&count(other)).failed().says("error 42703").never_says(BUILT);
    }
    assert_eq!(objects(&server).iter().filter(|name| *name == "account").count(), 1);
}

#[test]
fn what_ptest_did_not_make_is_not_touched() {
    let server = server("");
    // Nobody else is connected while a test runs.
    let say = |sql: &str| server.connect_to("one").unwrap().batch_execute(sql).unwrap();
    let customer = "create table customer (name text); insert into customer values ('ada')";
    let run = |column| on(&server, Rerun::test(ANSWERS)).package(&package(column)).statements(NAME).run();
    let refused = |outcome: crate::rerun::Outcome| {
        outcome.failed().says("cannot use the single database `one`").says("table public.customer");
        outcome.says("help: ptest drops and migrates only what it has made");
    };
    say(customer);
    refused(run("a"));
    assert_eq!(objects(&server), ["customer"]);

    // Nor later, when the rest is ptest's.
    say("drop table customer");
    run("a").passed();
    say(customer);
    run("a").passed();
    refused(run("b"));
    say("do $$ begin assert (select name from customer) = 'ada'; perform a from account; end $$");
}

/// A copy has the mark, and another number.
#[test]
fn a_copy_is_not_ptests() {
    let server = server("");
    let packages = [package("a"), package("b")];
    let run = |n: usize| on(&server, Rerun::test(ANSWERS)).package(&packages[n]).statements(NAME);
    run(0).run().passed();
    server.superuser().batch_execute("create database two template one").unwrap();
    server.superuser().batch_execute("alter database one rename to old").unwrap();
    server.superuser().batch_execute("alter database two rename to one").unwrap();
    run(1).run().failed().says("it has what ptest did not make").says("table public.account");
}

#[test]
fn a_migration_that_fails_leaves_nothing() {
    let server = server("");
    let broken = package("a");
    broken.write("migrations/6_broken.sql", "create table late ();\ncreate tabel later ();");
    let outcome = on(&server, Rerun::test(ANSWERS)).package(&broken).statements(NAME).run();
    outcome.failed().says("cannot migrate the single database `one`").says("6_broken.sql fails at line 2");
    assert_eq!(objects(&server), [""; 0]);
    on(&server, Rerun::test(ANSWERS)).package(&package("a")).statements(NAME).run().passed();
}

#[test]
fn a_kill_while_it_is_built() {
    let server = server("");
    let slow = package("a");
    slow.write("migrations/6_slow.sql", "-- no-transaction\nselect pg_sleep(1);");
    let running = on(&server, Rerun::test(ANSWERS)).package(&slow).statements(NAME).start();
    while !objects(&server).contains(&"account".to_owned()) {
        thread::sleep(Duration::from_millis(10));
    }
    running.kill();
    let outcome = on(&server, Rerun::module("single::inner::turn_")).package(&package("a")).run();
    outcome.passed().says("its construction was broken off");
}

#[test]
fn a_kill_in_a_test() {
    let (server, package) = (server(""), package("a"));
    let mut running = on(&server, Rerun::test("single::inner::waits")).package(&package).start();
    running.wait_for("inserted");
    running.kill();
    on(&server, Rerun::module("single::inner::turn_")).package(&package).run().passed().never_says(BUILT);
}

/// By the name of the database, past the sandbox.
#[test]
fn what_was_committed_is_gone_with_the_next_test() {
    // Before version 15 the server's counters lag, and tell nothing of who has gone.
    if server_version() < 15 {
        return;
    }
    let (server, package) = (server(""), package("a"));
    let url = server.tcp("guest").replace("/app", "/one");
    let outcome = on(&server, Rerun::test("single::inner::escapes")).package(&package).env("PTEST_IT_URL", url).run();
    outcome.failed().says("something else than the test's own connections wrote to its database `one`");
    let outcome = on(&server, Rerun::module("single::inner::turn_")).package(&package).run();
    outcome.passed().says("it was not rolled back");
}

#[test]
fn what_needs_another_database_says_so() {
    let (server, package) = (server(""), package("a"));
    let run = |name: &str| on(&server, Rerun::test(name)).package(&package);
    let outcome = run("single::inner::database").run();
    outcome.failed().says("cannot give the single database `one` to a test that commits");
    outcome.says("ALTER ROLE \"guest\" CREATEDB").says("isolation = \"database\"");
    run("single::inner::two").run().failed().says("cannot give the single database `one` to a test twice");
    let outcome = run(ANSWERS).statements(NAME).env("PTEST_KEEP", "failed").run();
    outcome.failed().says("cannot keep the single database `one`").says("unset PTEST_KEEP");
    let outcome = run(ANSWERS).statements(NAME).env("PTEST_DATABASE_URL", "own").run();
    outcome.failed().says("cannot use PTEST_SINGLE_DATABASE, for no URL names its server");
    let outcome = run(ANSWERS).statements(&["select no_such_column"]).run();
    outcome.failed().says("database one (slot 0) of guest@").never_says("PTEST_KEEP");
}

#[test]
fn rights_that_are_missing_are_named() {
    let sql = ";alter database one owner to postgres;create database two;create database three;\
        revoke connect on database three from public";
    let server = ScratchServer::start(
        &rule("all all guest trust"),
        &format!("create role guest login;create database one owner guest{sql}"),
    );
    server.connect_to("one").unwrap().batch_execute("revoke create on schema public from public").unwrap();
    let package = package("a");
    let run = || on(&server, Rerun::test(ANSWERS)).package(&package).statements(NAME);
    let outcome = run().run();
    outcome.failed().says("cannot build the single database `one`, for the user `guest` lacks the right");
    let grants = "GRANT CREATE ON DATABASE one TO guest; GRANT CREATE ON SCHEMA public TO guest";
    outcome.says(&format!("help: have it granted by the owner of the database or a superuser: {grants}"));
    server.connect_to("one").unwrap().batch_execute(grants).unwrap();
    run().run().passed();
    let outcome = run().env("PTEST_SINGLE_DATABASE", "three").run();
    outcome.failed().says("SQLSTATE 42501").says("GRANT CONNECT ON DATABASE \"three\" TO \"guest\"");
    let outcome = run().env("PTEST_SINGLE_DATABASE", "four").run();
    outcome.failed().says("SQLSTATE 3D000").says("CREATE DATABASE \"four\" OWNER \"guest\"");
}

mod inner {
    use super::*;

    const IN: &str = "insert into account (name) values ('admin') returning id";

    macro_rules! turns {
        ($($name:ident)*) => { $(
            #[ptest::db_test]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
                assert_eq!((database.name(), database.slot()), ("one", 0));
                assert_eq!(query_scalar::<_, i64>("select count(*) from account").fetch_one(&pool).await?, 0);
                // Nor has a sequence moved.
                assert_eq!(query_scalar::<_, i32>(IN).fetch_one(&pool).await?, 1);
                assert_eq!(query_scalar::<_, i64>("select nextval('counts')").fetch_one(&pool).await?, 2);
                pool.execute("create table more.late (); drop view more.names; create schema less").await?;
                Ok(())
            }
        )* };
    }
    macro_rules! empty {
        ($($name:ident)*) => { $(
            #[ptest::db_test(migrations = false)]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool) -> sqlx::Result<()> {
                pool.execute("create table account ()").await?;
                Ok(())
            }
        )* };
    }
    empty!(empty_a empty_b empty_c empty_d empty_e empty_f);
    turns!(turn_a turn_b turn_c turn_d turn_e turn_f);

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn waits(pool: PgPool) -> sqlx::Result<()> {
        query_scalar::<_, i32>(IN).fetch_one(&pool).await?;
        println!("inserted");
        tokio::time::sleep(Duration::from_secs(600)).await;
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn escapes(_pool: PgPool) -> sqlx::Result<()> {
        let url = std::env::var("PTEST_IT_URL").unwrap();
        let outside = PgPool::connect(&url).await?;
        outside.execute(IN).await?;
        outside.close().await;
        Ok(())
    }

    #[ptest::db_test(isolation = "database")]
    #[ignore = "run by another test"]
    async fn database(_pool: PgPool) {}

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn two(_pool: PgPool, #[db(OTHER)] _other: PgPool) {}
}

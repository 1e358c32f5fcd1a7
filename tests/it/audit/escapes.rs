//! Ways out of ptest's transaction: after each, the next test finds a clean database, in this process and in another.

use ptest::TestDatabase;
use sqlx::{Executor, PgPool};

use crate::package::Package;
use crate::rerun::{Outcome, Rerun, server_version};

/// All that a client could say to get out, each after it has made a mess. Most of it is answered with an error.
const ATTEMPTS: &[&str] = &[
    "commit",
    "commit; begin; insert into account values ('b'); commit; insert into account values ('c')",
    "rollback; commit; end",
    "begin; commit and chain; insert into account values ('b')",
    "begin; rollback and chain; insert into account values ('b'); commit",
    "/* a comment */ ; CoMmIt WORK",
    "begin; prepare transaction 'out'",
    "commit prepared 'out'",
    "release savepoint _ptest_savepoint; commit",
    "rollback to savepoint _ptest_savepoint",
    "begin; savepoint _ptest_savepoint; release savepoint _ptest_savepoint; commit",
    "do $$ begin commit; end $$",
    "create procedure way_out() language plpgsql as $$ begin commit; end $$; call way_out()",
    "create procedure way_out() language plpgsql as $$ begin rollback; end $$; call way_out()",
    "discard all; insert into account values ('b')",
    "reset all; commit",
    "set session authorization pg_monitor; commit",
    "set role pg_monitor; commit",
    "set time zone 'Asia/Tokyo'; set datestyle = german; set intervalstyle = iso_8601; set bytea_output = escape",
    "set search_path = nowhere; set lc_messages = 'C'; set extra_float_digits = -15",
    "set default_transaction_read_only = off; commit",
    "do $$ begin perform set_config('default_transaction_read_only', 'off', false); end $$; commit",
    "set transaction_read_only = off; commit; insert into account values ('b')",
    "set session characteristics as transaction isolation level serializable, read only; commit",
    "set track_counts = off; insert into account values ('b')",
    "set statement_timeout = 1",
    "do $$ begin perform set_config('idle_in_transaction_session_timeout', '1', false); end $$; select pg_sleep(0.01)",
    "select pg_advisory_unlock_all()",
    "create function way_out() returns void language sql as 'select pg_advisory_unlock_all()'; select way_out()",
    "select pg_advisory_unlock(8100086310834958188)",
    "select pg_advisory_lock(8100086310834958188), pg_advisory_lock(8100086310834958188)",
    "select pg_cancel_backend(pg_backend_pid())",
    "select pg_terminate_backend(pg_backend_pid())",
    "alter database $ allow_connections false",
    "alter database $ rename to ptest_out",
    "alter database $ set work_mem = '1MB'; comment on database $ is 'out'",
    "drop database $",
    "vacuum full account",
    "alter system set work_mem = '1MB'",
    "listen out; notify out; select pg_notify('out', '')",
    "declare out cursor with hold for select 1; commit",
    "create temporary table temporary () on commit preserve rows; commit",
    "prepare out as delete from account; commit",
    "truncate account; drop table account cascade; create table account (other text)",
    "create role ptest_out; grant all on account to ptest_out",
    "lock table pg_class",
    "select lo_create(7)",
];

#[test]
fn whatever_a_client_says() {
    let package = package("said");
    // A slot of its own, so that another process finds the same.
    let slot = ("NEXTEST_TEST_GLOBAL_SLOT", "50");
    for attempt in ATTEMPTS {
        println!("{attempt}");
        for protocol in ["simple", "extended"] {
            let names = ["audit::escapes::inner::a_says_it", "audit::escapes::inner::b_is_clean"];
            let run = Rerun::tests(&names).package(&package).threads(1).env(slot.0, slot.1);
            run.env(ATTEMPT, attempt).env(PROTOCOL, protocol).run().passed();
        }
    }
    Rerun::test("audit::escapes::inner::b_is_clean").package(&package).env(slot.0, slot.1).run().passed();
}

#[test]
fn a_connection_of_the_servers_own() {
    if !has_dblink() || !is_seen() {
        return;
    }
    let out = escapes("dblink", "c_by_dblink", "d_is_clean");
    out.failed()
        .says("something else than the test's own connections wrote to its database")
        .says("1 passed; 1 failed");
    replaced(&out);
}

#[test]
fn a_connection_that_stays_open_in_the_backend() {
    if !has_dblink() {
        return;
    }
    let out = escapes("open dblink", "e_by_open_dblink", "f_is_clean");
    out.passed().says("ptest: warning: somebody else was connected to the test's database");
    replaced(&out);
}

#[test]
fn a_connection_by_name() {
    if !is_seen() {
        return;
    }
    let out = escapes("by name", "g_by_name", "h_is_clean");
    out.failed()
        .says("something else than the test's own connections wrote to its database")
        .says("1 passed; 1 failed");
    replaced(&out);
}

#[test]
fn a_test_that_fails_and_escapes() {
    if !is_seen() {
        return;
    }
    let out = escapes("failing", "i_by_name_and_fails", "j_is_clean");
    out.failed().says("no room for `guest`").says("ptest: something else than the test's own connections wrote");
    replaced(&out);
}

#[test]
fn somebody_who_looks_on() {
    let out = escapes("onlooker", "k_is_looked_at", "l_is_clean");
    out.passed().says("ptest: warning: somebody else was connected to the test's database").says("an onlooker, user ");
    replaced(&out);
}

/// Whether the server tells that somebody has written who has gone: before version 15 its counters lag.
fn is_seen() -> bool {
    server_version() >= 15
}

/// Runs a test that escapes, and the next of the process.
fn escapes(name: &str, escape: &str, next: &str) -> Outcome {
    let package = package(name);
    let names = [format!("audit::escapes::inner::{escape}"), format!("audit::escapes::inner::{next}")];
    let outcome = Rerun::tests(&[&names[0], &names[1]]).package(&package).threads(1).run();
    // Nor does a later process find anything of it.
    Rerun::test("audit::escapes::inner::b_is_clean").package(&package).run().passed();
    outcome
}

/// The next test had another database.
#[track_caller]
fn replaced(outcome: &Outcome) {
    let databases = outcome.lines("oid ");
    assert!(databases.len() == 2 && databases[0] != databases[1], "{outcome}");
}

fn package(name: &str) -> Package {
    let table = format!("-- for escapes {name}\ncreate table account (name text primary key);");
    Package::new(&[("migrations/1_account.sql", &table)])
}

fn has_dblink() -> bool {
    let found =
        crate::rerun::ask(&package("dblink"), &["select name from pg_available_extensions where name = 'dblink'"]);
    !found.is_empty()
}

const ATTEMPT: &str = "PTEST_IT_ATTEMPT";
const PROTOCOL: &str = "PTEST_IT_PROTOCOL";

mod inner {
    use super::*;

    /// The test is over, and whatever it said, it has passed.
    #[ptest::db_test(audit(advisory_lock = "off", sandbox = "off"))]
    #[ignore = "run by another test"]
    async fn a_says_it(pool: PgPool, database: TestDatabase) {
        let attempt = std::env::var(ATTEMPT).unwrap().replace('$', database.name());
        mess(&pool).await.unwrap();
        let mut conn = pool.acquire().await.unwrap();
        if std::env::var(PROTOCOL).unwrap() == "simple" {
            let _ = conn.execute(sqlx::AssertSqlSafe(attempt)).await;
        } else {
            for statement in attempt.split("; ") {
                let _ = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *conn).await;
            }
        }
        let _ = conn.execute("insert into account values ('late')").await;
        let _ = conn.execute("create table late ()").await;
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn b_is_clean(pool: PgPool) {
        is_clean(&pool).await.unwrap();
    }

    #[ptest::db_test]
    #[ignore = "run by another test: fails"]
    async fn c_by_dblink(pool: PgPool) -> sqlx::Result<()> {
        mess(&pool).await?;
        pool.execute("create extension dblink").await?;
        pool.execute("select dblink_exec(way_out(), 'insert into account values (''out'')')").await?;
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn e_by_open_dblink(pool: PgPool) -> sqlx::Result<()> {
        mess(&pool).await?;
        pool.execute("create extension dblink").await?;
        pool.execute("select dblink_connect('out', way_out())").await?;
        pool.execute("select * from dblink('out', 'select 1') as t (n int)").await?;
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by another test: fails"]
    async fn g_by_name(pool: PgPool) -> sqlx::Result<()> {
        by_name(&pool).await
    }

    #[ptest::db_test]
    #[ignore = "run by another test: fails"]
    async fn i_by_name_and_fails(pool: PgPool) {
        by_name(&pool).await.unwrap();
        panic!("no room for `guest`");
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn k_is_looked_at(pool: PgPool) -> sqlx::Result<()> {
        mess(&pool).await?;
        let out: String = sqlx::query_scalar("select way_out()").fetch_one(&pool).await?;
        let onlooker = std::thread::spawn(move || {
            let out = format!("{out} application_name='an onlooker'");
            let mut client = postgres::Client::connect(&out, postgres::NoTls).unwrap();
            client.batch_execute("select count(*) from account").unwrap();
            // Beyond the test's end.
            std::mem::forget(client);
        });
        onlooker.join().unwrap();
        Ok(())
    }

    macro_rules! is_clean {
        ($($name:ident)*) => {$(
            #[ptest::db_test]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool) {
                is_clean(&pool).await.unwrap();
            }
        )*};
    }
    is_clean!(d_is_clean f_is_clean h_is_clean j_is_clean l_is_clean);

    async fn by_name(pool: &PgPool) -> sqlx::Result<()> {
        mess(pool).await?;
        let out: String = sqlx::query_scalar("select way_out()").fetch_one(pool).await?;
        let (client, connection) = tokio_postgres::connect(&out, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute("insert into account values ('out')").await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        Ok(())
    }

    /// A row, a table, and a function that tells how the server itself is reached.
    async fn mess(pool: &PgPool) -> sqlx::Result<()> {
        println!("oid {}", oid(pool).await?);
        pool.execute("insert into account values ('a'); create table mess ()").await?;
        pool.execute(
            "create function way_out() returns text language sql as $$ select format('host=%s port=%s user=%s dbname=%s', \
             split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_user, \
             current_database()) $$",
        )
        .await?;
        Ok(())
    }

    async fn is_clean(pool: &PgPool) -> sqlx::Result<()> {
        println!("oid {}", oid(pool).await?);
        let rows: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(pool).await?;
        let left: Vec<String> = sqlx::query_scalar(
            "select relname::text from pg_class where relname in ('mess', 'late', 'temporary') union all \
             select proname::text from pg_proc where proname = 'way_out' union all \
             select rolname::text from pg_roles where rolname = 'ptest_out' union all \
             select datname::text from pg_database where datname = 'ptest_out' union all \
             select gid from pg_prepared_xacts where database = current_database() union all \
             select name from pg_prepared_statements where name like '%out%' union all \
             select name from pg_cursors where name = 'out' union all \
             select pg_listening_channels() union all \
             select setting from pg_settings where name = 'work_mem' and setting = '1024' union all \
             select oid::text from pg_largeobject_metadata where oid = 7 union all \
             select 'locks' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() having count(*) <> 1",
        )
        .fetch_all(pool)
        .await?;
        assert_eq!((rows, left), (0, vec![]));
        Ok(())
    }

    async fn oid(pool: &PgPool) -> sqlx::Result<i64> {
        sqlx::query_scalar("select oid::bigint from pg_database where datname = current_database()")
            .fetch_one(pool)
            .await
    }
}

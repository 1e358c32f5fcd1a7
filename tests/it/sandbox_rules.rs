//! The sandbox's rules, each as a client of a server would have it.

use std::process::Command;

use ptest::PgUrl;

use crate::package::Package;
use crate::rerun::{ask, server_version};
use crate::wire::{Wire, bind, execute, frame, parse_message, query, read_only, show};

// Isolation levels, DEFERRABLE, read-only.

#[ptest::db_test]
fn every_isolation_level_is_accepted_and_shown(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    assert_eq!(a.query("begin isolation level serializable, deferrable"), "BEGIN T");
    assert_eq!(a.query("show transaction_isolation"), "(serializable) SHOW T");
    assert_eq!(a.pipeline(&["show transaction_deferrable"]), "(on) SHOW T");
    assert_eq!(a.query("commit"), "COMMIT I");
    assert_eq!(a.query("show transaction isolation level"), "(read committed) SHOW I");
    assert_eq!(
        a.query("begin; set transaction isolation level repeatable read, read only; select 1"),
        "BEGIN SET (1) SELECT 1 T"
    );
    assert_eq!(a.query("show transaction_isolation; show transaction_read_only"), "(repeatable read) SHOW (on) SHOW T");
    assert_eq!(a.query("set transaction isolation level serializable"), "25001! E");
    assert_eq!(a.query("rollback"), "ROLLBACK I");
}

#[ptest::db_test]
fn default_modes_are_a_sessions_own(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    a.query("create table t (a int)");
    assert_eq!(
        a.query("set session characteristics as transaction isolation level serializable, read only"),
        format!("SET{} I", read_only("on"))
    );
    assert_eq!(
        a.query("show default_transaction_isolation; show default_transaction_read_only"),
        "(serializable) SHOW (on) SHOW I"
    );
    assert_eq!(a.query("insert into t values (1)"), "25006! I");
    assert_eq!(a.pipeline(&["insert into t values (1)"]), "25006! I");
    assert_eq!(a.query("begin; insert into t values (1)"), "BEGIN 25006! E");
    assert_eq!(
        a.query("rollback; begin read write; insert into t values (1); commit"),
        "ROLLBACK BEGIN INSERT 0 1 COMMIT I"
    );
    assert_eq!(
        b.query("show default_transaction_isolation; insert into t values (2)"),
        "(read committed) SHOW INSERT 0 1 I"
    );
    assert_eq!(a.query("set default_transaction_read_only = off"), format!("SET{} I", read_only("off")));
    assert_eq!(a.query("insert into t values (3); show default_transaction_read_only"), "INSERT 0 1 (off) SHOW I");
    assert_eq!(a.query("set default_transaction_read_only = perhaps"), "22023! I");
}

#[ptest::db_test]
fn a_read_only_transaction_is_read_only_to_its_end(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    assert_eq!(a.query("begin read only"), "BEGIN T");
    assert_eq!(a.query("insert into t values (1)"), "25006! E");
    assert_eq!(a.query("rollback"), "ROLLBACK I");
    assert_eq!(a.query("begin read only; commit and chain"), "BEGIN COMMIT T");
    assert_eq!(a.query("insert into t values (1)"), "25006! E");
    assert_eq!(a.query("rollback and chain"), "ROLLBACK T");
    assert_eq!(a.query("show transaction_read_only"), "(on) SHOW T");
    assert_eq!(a.query("rollback"), "ROLLBACK I");
    assert_eq!(
        a.query("begin read only; set transaction read write; insert into t values (1); commit"),
        "BEGIN SET INSERT 0 1 COMMIT I"
    );
    assert_eq!(a.query("insert into t values (1)"), "INSERT 0 1 I");
}

#[ptest::db_test]
fn pg_dump_works(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table dumped (a int); insert into dumped values (4711)");
    let output = Command::new("pg_dump").arg(url.as_str()).output().unwrap();
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if error.contains("server version mismatch") {
        return println!("skipped: the pg_dump of this machine is older than the server");
    }
    assert!(output.status.success(), "{error}");
    assert!(text.contains("CREATE TABLE public.dumped") && text.contains("\n4711\n"), "{text}");
}

// What a commit does.

#[ptest::db_test]
fn a_commit_closes_cursors_and_portals(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    for _ in 0..2 {
        assert_eq!(a.query("begin; declare c cursor for select 1; commit"), "BEGIN DECLARE CURSOR COMMIT I");
        assert_eq!(a.query("fetch c"), "34000! I");
        a.send(&[parse_message("", "select 1"), bind("p", "", &[]), frame(b'S', b"")].concat());
        assert_eq!(show(&a.until_ready()), "1 2 I");
        a.send(&[execute("p", 0), frame(b'S', b"")].concat());
        assert_eq!(show(&a.until_ready()), "34000! I");
    }
    a.query("create function opens() returns refcursor language plpgsql as $$ declare c refcursor := 'named'; begin open c for select 1; return c; end $$");
    assert_eq!(a.query("begin; select opens(); commit"), "BEGIN (named) SELECT 1 COMMIT I");
    assert_eq!(a.query("begin; select opens(); commit"), "BEGIN (named) SELECT 1 COMMIT I");
    assert_eq!(a.query("select opens()"), "(named) SELECT 1 I");
    assert_eq!(a.query("select opens()"), "(named) SELECT 1 I");
}

#[ptest::db_test]
fn a_held_cursor_outlives_its_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int); insert into t values (1), (2), (3)");
    assert_eq!(
        a.query("begin; declare h cursor with hold for select a from t order by a; fetch h; commit"),
        "BEGIN DECLARE CURSOR (1) FETCH 1 COMMIT I"
    );
    assert_eq!(a.query("delete from t"), "DELETE 3 I");
    assert_eq!(a.query("fetch h"), "(2) FETCH 1 I");
    assert_eq!(a.query("alter table t add b int; drop table t"), "ALTER TABLE DROP TABLE I");
    assert_eq!(a.query("select 1/0"), "22012! I");
    assert_eq!(a.query("fetch all h"), "(3) FETCH 1 I");
    assert_eq!(a.query("close h; fetch h"), "CLOSE CURSOR 34000! I");
    assert_eq!(a.query("begin; declare h cursor with hold for select 1; rollback"), "BEGIN DECLARE CURSOR ROLLBACK I");
    assert_eq!(a.query("fetch h"), "34000! I");
}

#[ptest::db_test]
fn temporary_tables_end_as_they_say(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    for _ in 0..2 {
        assert_eq!(
            a.query("begin; create temp table d (a int) on commit drop; insert into d values (1); commit"),
            "BEGIN CREATE TABLE INSERT 0 1 COMMIT I"
        );
        assert_eq!(a.query("select * from d"), "42P01! I");
    }
    a.query("create temp table e (a int) on commit delete rows");
    assert_eq!(
        a.query("begin; insert into e values (1); select a from e; commit"),
        "BEGIN INSERT 0 1 (1) SELECT 1 COMMIT I"
    );
    assert_eq!(a.query("select a from e"), "SELECT 0 I");
    assert_eq!(a.pipeline(&["insert into e values (1)"]), "INSERT 0 1 I");
    assert_eq!(a.query("select a from e"), "SELECT 0 I");
    assert_eq!(a.query("drop table e; select 1"), "DROP TABLE (1) SELECT 1 I");
    assert_eq!(a.query("select 2"), "(2) SELECT 1 I");
}

#[ptest::db_test]
fn set_local_ends_with_the_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    assert_eq!(a.query("set work_mem = '5MB'"), "SET I");
    for end in ["commit", "rollback"] {
        a.query("begin");
        assert_eq!(a.query("set local work_mem = '7MB'; show work_mem"), "SET (7MB) SHOW T");
        assert_eq!(a.query("select set_config('a.b', 'x', true)"), "(x) SELECT 1 T");
        assert!(a.query(end).ends_with('I'));
        assert_eq!(a.query("show work_mem; select current_setting('a.b')"), "(5MB) SHOW () SELECT 1 I");
    }
    assert_eq!(
        a.query("begin; set local work_mem = '7MB'; set statement_timeout = '9s'; commit"),
        "BEGIN SET SET COMMIT I"
    );
    assert_eq!(a.query("show work_mem; show statement_timeout"), "(5MB) SHOW (9s) SHOW I");
    assert_eq!(a.query("select set_config('a.b', 'y', true)"), "(y) SELECT 1 I");
    assert_eq!(a.query("select current_setting('a.b')"), "() SELECT 1 I");
    assert_eq!(a.query("set local work_mem = '7MB'"), "25P01? SET I");
    assert_eq!(a.query("begin; set local timezone = 'Asia/Tokyo'"), "BEGIN SET TimeZone=Asia/Tokyo T");
    assert_eq!(a.query("commit").replace("Etc/UTC", "UTC"), "COMMIT TimeZone=UTC I");
    a.query("create role ptest_rules_role");
    assert_eq!(
        a.query("begin; set local role ptest_rules_role; select current_user; commit"),
        "BEGIN SET (ptest_rules_role) SELECT 1 COMMIT is_superuser=on I".replace("COMMIT is_superuser=on", "COMMIT")
    );
    assert_ne!(a.query("select current_user"), "(ptest_rules_role) SELECT 1 I");
}

#[ptest::db_test]
fn deferred_constraints_are_checked_at_every_commit(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table p (id int primary key); create table c (p int references p deferrable initially deferred)");
    assert_eq!(a.query("insert into c values (1)"), "23503! I");
    assert_eq!(a.pipeline(&["insert into c values (1)"]), "INSERT 0 1 23503! I");
    assert_eq!(a.query("begin; insert into c values (1); commit"), "BEGIN INSERT 0 1 23503! I");
    assert_eq!(
        a.query("begin; insert into c values (1); insert into p values (1); commit"),
        "BEGIN INSERT 0 1 INSERT 0 1 COMMIT I"
    );
    // Deferred again afterwards.
    assert_eq!(
        a.query("begin; insert into c values (2); insert into p values (2); commit"),
        "BEGIN INSERT 0 1 INSERT 0 1 COMMIT I"
    );
    assert_eq!(
        a.query("begin; set constraints all immediate; insert into c values (9)"),
        "BEGIN SET CONSTRAINTS 23503! E"
    );
    assert_eq!(a.query("rollback; select count(*) from c"), "ROLLBACK (2) SELECT 1 I");
}

// Settings.

#[ptest::db_test]
fn settings_belong_to_one_session(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    a.query("create schema s; create role ptest_rules_other");
    assert_eq!(a.query("set application_name = 'a'; set search_path = s, public"), "SET SET application_name=a I");
    assert_eq!(b.query("show application_name; show search_path"), "() SHOW (\"$user\", public) SHOW I");
    assert_eq!(b.query("set application_name = 'b'"), "SET application_name=b I");
    assert_eq!(a.query("show application_name; show search_path"), "(a) SHOW (s, public) SHOW I");
    assert_eq!(
        b.query("set role ptest_rules_other; select current_user"),
        "SET (ptest_rules_other) SELECT 1 is_superuser=off I"
    );
    assert_ne!(a.query("select current_user"), "(ptest_rules_other) SELECT 1 I");
    assert_eq!(b.query("select current_user; reset role"), "(ptest_rules_other) SELECT 1 RESET is_superuser=on I");
    assert_eq!(a.query("begin; set application_name = 'c'"), "BEGIN SET application_name=c T");
    assert_eq!(a.query("rollback"), "ROLLBACK application_name=a I");
    assert_eq!(a.query("set application_name = 'c'; select 1/0"), "SET 22012! I");
    assert_eq!(b.query("show application_name"), "(b) SHOW I");
    assert_eq!(a.query("show application_name"), "(a) SHOW I");
    assert_eq!(a.query("select set_config('application_name', 'd', false)"), "(d) SELECT 1 application_name=d I");
    assert_eq!(b.query("show application_name"), "(b) SHOW I");
    assert_eq!(a.query("show application_name"), "(d) SHOW I");
    assert_eq!(a.query("reset all"), "RESET application_name I");
    assert_eq!(a.query("show search_path"), "(\"$user\", public) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_client_is_the_user_that_it_names(url: PgUrl) {
    let mut owner = Wire::connect(url.as_str());
    owner.query("create role app login; create table t (a int); grant select on t to app");
    let (mut app, hello) = Wire::start(url.as_str(), &[("user", "app")]);
    assert!(show(&hello).contains("session_authorization=app"), "{}", show(&hello));
    let is_app = |app: &mut Wire| {
        assert_eq!(app.query("select session_user, current_user"), "(app,app) SELECT 1 I");
        assert_eq!(app.query("insert into t values (1)"), "42501! I");
        assert_eq!(app.query("select * from t where false"), "SELECT 0 I");
    };
    is_app(&mut app);
    for back in
        ["reset session authorization", "set session authorization default", "reset role", "reset all", "discard all"]
    {
        app.query(back);
        is_app(&mut app);
    }
    app.query("begin; set local work_mem = '3MB'; set local role none; commit");
    is_app(&mut app);
    assert_eq!(owner.query("insert into t values (1)"), "INSERT 0 1 I");
    is_app(&mut app);
    let (_, refused) = Wire::start(url.as_str(), &[("user", "nobody")]);
    assert_eq!(show(&refused), "R 28000!");
    assert_eq!(refused[1].field(b'S').unwrap(), "FATAL");
}

#[ptest::db_test]
fn start_up_parameters_are_settings(url: PgUrl) {
    let parameters =
        [("application_name", "x"), ("options", "-c search_path=a,\\ b -c work_mem=3MB"), ("extra_float_digits", "2")];
    let (mut a, hello) = Wire::start(url.as_str(), &parameters);
    assert!(show(&hello).contains("application_name=x"), "{}", show(&hello));
    assert!(show(&hello).contains(&read_only("off")), "{}", show(&hello));
    assert_eq!(
        a.query("show search_path; show work_mem; show extra_float_digits"),
        "(a, b) SHOW (3MB) SHOW (2) SHOW I"
    );
    let mut b = Wire::connect(url.as_str());
    assert_eq!(b.query("show work_mem"), "(4MB) SHOW I");
    assert_eq!(a.query("set work_mem = '9MB'; reset work_mem; show work_mem"), "SET RESET (3MB) SHOW I");
    assert_eq!(a.query("set work_mem = '9MB'; set work_mem to default; show work_mem"), "SET SET (3MB) SHOW I");
    assert_eq!(
        a.query("set application_name = 'y'; reset all; show work_mem; show application_name"),
        "SET RESET (3MB) SHOW (x) SHOW I"
    );
    let (_, refused) = Wire::start(url.as_str(), &[("work_mem", "lots")]);
    assert_eq!(show(&refused), "R 22023!");
    // Among those that it tells at start-up, and what it tells anyway.
    let twice =
        [("client_encoding", "UTF8"), ("options", "-c client_encoding=LATIN1 -c work_mem=3MB"), ("work_mem", "4MB")];
    let (mut c, hello) = Wire::start(url.as_str(), &twice);
    assert!(show(&hello).contains("client_encoding=UTF8"), "{}", show(&hello));
    assert_eq!(c.query("show client_encoding; show work_mem"), "(UTF8) SHOW (4MB) SHOW I");
    assert_eq!(refused[1].field(b'S').unwrap(), "FATAL");
    let (_, refused) = Wire::start(url.as_str(), &[("no_such_thing", "1")]);
    assert_eq!(show(&refused), "R 42704!");
    assert_eq!(b.query("show work_mem"), "(4MB) SHOW I");
}

#[ptest::db_test]
fn a_connect_never_waits_for_a_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("begin");
    let (mut b, hello) = Wire::start(url.as_str(), &[("application_name", "late"), ("work_mem", "3MB")]);
    assert!(show(&hello).contains("application_name=late"));
    let (mut c, _) = Wire::start(url.as_str(), &[("work_mem", "lots")]);
    a.query("commit");
    assert_eq!(b.query("show work_mem; show application_name"), "(3MB) SHOW (late) SHOW I");
    assert_eq!(c.query("select 1"), "22023!");
    assert_eq!(b.query("select 1"), "(1) SELECT 1 I");
}

#[ptest::db_test]
fn timers_of_the_server_are_shown_and_never_fire(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(a.query("set idle_in_transaction_session_timeout = 1"), "SET I");
    assert_eq!(a.query("show idle_in_transaction_session_timeout"), "(1ms) SHOW I");
    assert_eq!(b.query("show idle_in_transaction_session_timeout"), "(0) SHOW I");
    assert_eq!(a.query("begin; select 1"), "BEGIN (1) SELECT 1 T");
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(a.query("select 2"), "(2) SELECT 1 T");
    assert_eq!(a.query("set idle_in_transaction_session_timeout = '2h'; rollback"), "SET ROLLBACK I");
    assert_eq!(a.query("show idle_in_transaction_session_timeout"), "(1ms) SHOW I");
    if server_version() >= 14 {
        assert_eq!(a.query("set idle_session_timeout = '1d'; show idle_session_timeout"), "SET (1d) SHOW I");
    }
}

#[ptest::db_test]
fn a_statement_timeout_ends_one_statement(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(a.query("set statement_timeout = 20; select pg_sleep(5)"), "SET 57014! I");
    assert_eq!(a.query("set statement_timeout = 20"), "SET I");
    assert_eq!(a.query("select pg_sleep(5)"), "57014! I");
    assert_eq!(b.query("select pg_sleep(0.05)"), "() SELECT 1 I");
    assert_eq!(a.query("select 1"), "(1) SELECT 1 I");
}

// When the transaction began is asked again at the end of the test, which would fail.
#[ptest::db_test]
fn a_test_may_leave_any_setting_behind(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    assert_eq!(a.query("set timezone = 'Asia/Tokyo'"), "SET TimeZone=Asia/Tokyo I");
    assert_eq!(
        a.query("set datestyle = 'German'; set bytea_output = 'escape'; set extra_float_digits = 0"),
        "SET SET SET DateStyle=German, DMY I"
    );
}

// Prepared statements and the rest of a session.

#[ptest::db_test]
fn prepared_statements_are_private(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(a.query("prepare s (int) as select $1 + 1; execute s (1)"), "PREPARE (2) SELECT 1 I");
    assert_eq!(b.query("prepare s as select 'b'; execute S"), "PREPARE (b) SELECT 1 I");
    assert_eq!(b.query("execute \"S\""), "26000! I");
    b.send(&query("deallocate none"));
    assert_eq!(b.until_ready()[0].field(b'M').unwrap(), "prepared statement \"none\" does not exist");
    b.send(&[parse_message("p", "select 7"), frame(b'S', b"")].concat());
    b.until_ready();
    assert_eq!(b.query("execute p"), "(7) SELECT 1 I");
    assert_eq!(b.query("deallocate all"), "DEALLOCATE ALL I");
    assert_eq!(b.query("execute p"), "26000! I");
    assert_eq!(b.query("execute s"), "26000! I");
    assert_eq!(a.query("execute s (2); explain (costs off) execute s (3)"), "(3) SELECT 1 (Result) EXPLAIN I");
    assert_eq!(a.pipeline(&["execute s (4)", "deallocate s", "execute s (5)"]), "(5) SELECT 1 DEALLOCATE 26000! I");
}

#[ptest::db_test]
fn discard_all_is_one_sessions(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    b.query("prepare s as select 'b'; set work_mem = '5MB'");
    a.query("prepare s as select 'a'; set work_mem = '6MB'");
    assert_eq!(a.query("begin"), "BEGIN T");
    assert_eq!(a.query("discard all"), "25001! E");
    assert_eq!(a.query("rollback"), "ROLLBACK I");
    assert_eq!(a.query("discard all"), "DISCARD ALL I");
    assert_eq!(a.query("show work_mem"), "(4MB) SHOW I");
    assert_eq!(a.query("execute s"), "26000! I");
    assert_eq!(b.query("show work_mem; execute s"), "(5MB) SHOW (b) SELECT 1 I");
    assert_eq!(a.pipeline(&["discard all"]), "DISCARD ALL I");
    a.send(
        &[parse_message("", "discard all"), bind("", "", &[]), execute("", 0), execute("", 0), frame(b'S', b"")]
            .concat(),
    );
    assert_eq!(show(&a.until_ready()), "1 2 DISCARD ALL 34000! I");
    assert_eq!(a.pipeline(&["show work_mem", "discard all"]), "(4MB) SHOW 25001! I");
    // It is committed before the statement that follows it in the batch.
    a.query("set work_mem = '5MB'");
    assert_eq!(a.pipeline(&["discard all", "select 1/0"]), "DISCARD ALL 22012! I");
    assert_eq!(a.query("show work_mem"), "(4MB) SHOW I");
    // What deadpool sends to a connection that comes back.
    let clean = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
                 SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES;";
    assert_eq!(a.query(clean), "CLOSE CURSOR ALL SET RESET UNLISTEN () SELECT 1 DISCARD TEMP DISCARD SEQUENCES I");
    assert_eq!(b.query("show work_mem; execute s; close all"), "(5MB) SHOW (b) SELECT 1 CLOSE CURSOR ALL I");
}

// Transaction control.

#[ptest::db_test]
fn control_in_the_middle_of_a_batch(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    let answer = "INSERT 0 1 BEGIN INSERT 0 1 COMMIT INSERT 0 1 22012! I";
    let statements = [
        "insert into t values (1)",
        "BEGIN",
        "insert into t values (2)",
        "COMMIT",
        "insert into t values (3)",
        "select 1/0",
    ];
    assert_eq!(a.query(&statements.join(";")), answer);
    assert_eq!(a.query("select a from t order by a"), "(1) (2) SELECT 2 I");
    a.query("delete from t");
    assert_eq!(a.pipeline(&statements), answer);
    assert_eq!(a.query("select a from t order by a"), "(1) (2) SELECT 2 I");
    assert_eq!(a.query("begin; select 1; select 1/0; commit"), "BEGIN (1) SELECT 1 22012! E");
    assert_eq!(a.query("commit"), "ROLLBACK I");
    // A syntax error anywhere in a string runs none of it.
    a.query("begin");
    for end in ["commit", "rollback"] {
        assert_eq!(a.query(&format!("{end}; selec 1")), "42601! E");
    }
    assert_eq!(a.query("rollback"), "ROLLBACK I");
    assert_eq!(a.query("begin; savepoint s; select 1/0"), "BEGIN SAVEPOINT 22012! E");
    assert_eq!(a.query("rollback to s; insert into t values (5); commit"), "ROLLBACK INSERT 0 1 COMMIT I");
    assert_eq!(a.query("select count(*) from t"), "(3) SELECT 1 I");
}

#[ptest::db_test]
fn what_needs_a_transaction_block_says_so(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    for statement in [
        "savepoint s",
        "release s",
        "rollback to s",
        "lock table t",
        "declare c cursor for select 1",
        "commit and chain",
    ] {
        assert_eq!(a.query(statement), "25P01! I", "{statement}");
        assert_eq!(a.pipeline(&[statement]), "25P01! I", "{statement}");
    }
    assert_eq!(a.query("begin; begin"), "BEGIN 25001? BEGIN T");
    assert_eq!(a.query("commit; commit"), "COMMIT 25P01? COMMIT I");
}

#[ptest::db_test(audit(sandbox = "off"))]
fn what_only_real_commits_allow_is_refused_with_a_hint(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    a.query("create procedure commits() language plpgsql as $$ begin commit; end $$");
    a.query("create type e as enum ('a')");
    for (sql, code) in [
        ("vacuum t", "25001"),
        ("create database x", "25001"),
        ("create index concurrently on t (a)", "25001"),
        ("select pg_export_snapshot()", "25001"),
        ("begin; prepare transaction 'x'", "0A000"),
        ("do $$ begin commit; end $$", "2D000"),
        ("call commits()", "2D000"),
        ("alter type e add value 'b'; select 'b'::e", "55P04"),
    ] {
        a.send(&query(sql));
        let messages = a.until_ready();
        let error = messages.iter().find(|m| m.tag == b'E').unwrap_or_else(|| panic!("{sql}: {}", show(&messages)));
        assert_eq!(error.field(b'C').unwrap(), code, "{sql}");
        assert!(error.field(b'H').unwrap_or_default().contains("isolation = \"database\""), "{sql}");
    }
    // It ends the transaction, as a commit that fails does; outside of one a server only complains.
    assert_eq!(
        a.pipeline(&["begin", "insert into t values (1)", "prepare transaction 'x'"]),
        "BEGIN INSERT 0 1 0A000! I"
    );
    assert_eq!(a.query("select * from t"), "SELECT 0 I");
    assert_eq!(a.query("prepare transaction 'x'"), "25P01? ROLLBACK I");
    assert_eq!(a.query("insert into t values (1); prepare transaction 'x'"), "INSERT 0 1 25P01? 0A000! I");
    a.send(&query("listen x"));
    let messages = a.until_ready();
    assert_eq!(show(&messages), "01000? LISTEN I");
    assert!(messages[0].field(b'H').unwrap().contains("isolation = \"database\""));
    // In the client's own block a server refuses it as well.
    a.send(&query("begin; vacuum t"));
    let messages = a.until_ready();
    assert_eq!(show(&messages), "BEGIN 25001! E");
    assert_eq!(messages[1].field(b'H'), None);
}

// Several sessions.

#[ptest::db_test(audit(turn = "off"))]
fn a_wait_for_the_turn_ends_with_both_statements(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    a.query("begin");
    a.query("select 'the holder'");
    b.send(&query("select 'the waiter'"));
    let messages = b.until_ready();
    assert_eq!(show(&messages), "PT001! I");
    let detail = messages[0].field(b'D').unwrap();
    assert!(detail.contains("the holder") && detail.contains("the waiter"), "{detail}");
    assert!(messages[0].field(b'H').unwrap().contains("isolation = \"database\""));
    assert_eq!(a.query("commit"), "COMMIT I");
    assert_eq!(b.query("select 1"), "(1) SELECT 1 I");
}

/// What the template has deferred at first is deferred again after each commit, if it is still there.
#[test]
fn a_table_of_the_template_with_a_deferred_constraint_can_be_dropped() {
    let sql = "create table parent (id int primary key); \
               create table child (parent int references parent deferrable initially deferred); \
               create table other (parent int references parent deferrable initially deferred);";
    let package = Package::new(&[("migrations/1_tables.sql", sql)]);
    let statements =
        ["drop table child", "commit", "insert into other values (7)", "insert into parent values (7)", "select 1"];
    assert_eq!(ask(&package, &statements), ["1"]);
}

#[ptest::db_test]
fn a_cancel_request_hits_only_its_own_session(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let url_b = url.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let other = std::thread::spawn(move || {
        let mut b = Wire::connect(url_b.as_str());
        let mut count = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(b.query("select 1"), "(1) SELECT 1 I");
            count += 1;
        }
        count
    });
    for round in 0..200 {
        if round % 2 == 0 {
            a.send(&query("do $$ begin raise notice 'running'; end $$; select pg_sleep(20)"));
            assert_eq!(a.next().unwrap().tag, b'N');
        } else {
            a.send(&query("select 1"));
        }
        a.cancel();
        let answer = show(&a.until_ready());
        assert!(answer.ends_with("57014! I") || (round % 2 == 1 && answer == "(1) SELECT 1 I"), "{round}: {answer}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(other.join().unwrap() > 0);
}

#[ptest::db_test(migrations = false)]
fn a_session_that_had_temporary_objects_keeps_nothing_of_its_open_transaction(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    a.query("create table kept (a int); create temp table t (a int)");
    assert_eq!(a.query("begin; insert into kept values (1)"), "BEGIN INSERT 0 1 T");
    a.send(&frame(b'X', b""));
    assert!(a.next().is_none());
    assert_eq!(b.query("select count(*) from kept"), "(0) SELECT 1 I");
}

#[ptest::db_test(migrations = false)]
fn temporary_objects_end_with_their_session(url: PgUrl) {
    for _ in 0..2 {
        let mut a = Wire::connect(url.as_str());
        assert_eq!(a.query("create temp table t (a int); insert into t values (1)"), "CREATE TABLE INSERT 0 1 I");
        assert_eq!(a.query("create type pg_temp.mood as enum ('sad')"), "CREATE TYPE I");
        assert_eq!(a.query("declare h cursor with hold for select 1"), "DECLARE CURSOR I");
        a.send(&frame(b'X', b""));
        assert!(a.next().is_none());
    }
    let mut b = Wire::connect(url.as_str());
    assert_eq!(b.query("select from pg_temp.t"), "42P01! I");
}

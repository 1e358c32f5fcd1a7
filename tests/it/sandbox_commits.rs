//! What a commit does beyond releasing a savepoint, whoever its client has become and however it fails.

use ptest::PgUrl;

use crate::rerun::server_version;
use crate::wire::{Wire, bind, execute, frame, parse_message, query, show};

const CHILD: &str =
    "create table p (id int primary key); create table c (p int references p deferrable initially deferred)";

#[ptest::db_test(migrations = false)]
fn a_commit_that_fails_in_a_string_takes_its_settings_along(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query(CHILD);
    assert_eq!(
        a.query("insert into c values (99); set default_transaction_read_only = on; commit"),
        "INSERT 0 1 SET 25P01? 23503! I"
    );
    assert_eq!(a.query("show default_transaction_read_only"), "(off) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_commit_needs_no_rights_of_the_clients_role(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create temp table e (a int) on commit delete rows; create temp table d (a int) on commit drop");
    for role in ["set role pg_monitor", "set session authorization pg_monitor"] {
        a.query("reset session authorization; reset role");
        assert!(a.query(&format!("begin; insert into e values (1); {role}")).ends_with(" T"), "{role}");
        assert_eq!(a.query("commit").split(' ').next(), Some("COMMIT"), "{role}");
        assert_eq!(a.query("select current_user"), "(pg_monitor) SELECT 1 I");
        a.query("reset session authorization; reset role");
        assert_eq!(a.query("select count(*) from e"), "(0) SELECT 1 I", "{role}");
        // Nor for a setting that only others may change.
        a.query(&format!("begin; set local log_duration = on; {role}"));
        assert_eq!(a.query("commit").split(' ').next(), Some("COMMIT"), "{role}");
        assert_eq!(a.query("show log_duration"), "(off) SHOW I", "{role}");
    }
}

#[ptest::db_test(migrations = false)]
fn a_role_outlives_the_local_session_authorization_below_it(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let answer = a.query("set local session authorization pg_monitor; set role pg_monitor");
    assert_eq!(answer, "SET SET is_superuser=off I");
    assert_eq!(a.query("select current_user = 'pg_monitor', session_user = current_user"), "(t,f) SELECT 1 I");
}

#[ptest::db_test(migrations = false)]
fn a_session_authorization_leaves_the_role_for_as_long(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let who = "select current_user = 'pg_monitor', session_user = 'pg_monitor'";
    a.query("set role pg_monitor; set local session authorization pg_monitor");
    assert_eq!(a.query(who), "(t,f) SELECT 1 I");
    a.query("begin; set session authorization pg_monitor; set local role pg_monitor; commit");
    assert_eq!(a.query(who), "(t,t) SELECT 1 I");
    assert_eq!(a.query("show role"), "(none) SHOW I");
    a.query("reset session authorization; set role pg_monitor");
    a.query("begin; reset session authorization; set local work_mem = '5MB'; commit");
    assert_eq!(a.query(who), "(f,f) SELECT 1 I");
}

#[ptest::db_test(migrations = false, audit(deferred_constraint = "off"))]
fn a_constraint_is_deferred_in_the_transaction_that_makes_it(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query(CHILD);
    a.query("insert into p values (1)");
    let insert = "create table u (a int unique deferrable initially deferred); insert into u values (1), (1)";
    assert_eq!(a.query(&format!("begin; {insert}")), "BEGIN CREATE TABLE INSERT 0 2 T");
    assert_eq!(a.query("commit"), "23505! I");
    // And what is immediate at first is so after a commit.
    a.query("create table i (a int unique deferrable); begin; set constraints all deferred; commit");
    assert_eq!(a.query("begin; insert into i values (1), (1)"), "BEGIN 23505! E");
    a.query("rollback; begin; set constraints all immediate; commit");
    assert_eq!(a.query("begin; insert into c values (99)"), "BEGIN INSERT 0 1 T");
}

#[ptest::db_test(migrations = false)]
fn constraints_are_as_at_first_after_each_commit(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    let twice = |wire: &mut Wire, table: &str| wire.query(&format!("begin; insert into {table} values (1), (1)"));
    a.query("create table i (a int unique deferrable)");
    a.query("create table d (a int unique deferrable initially deferred)");
    for wire in [&mut a, &mut b] {
        assert_eq!(wire.query("begin; set constraints all deferred; commit"), "BEGIN SET CONSTRAINTS COMMIT I");
        assert_eq!(twice(wire, "i"), "BEGIN 23505! E");
        assert_eq!(
            wire.query("rollback; begin; set constraints all immediate; commit"),
            "ROLLBACK BEGIN SET CONSTRAINTS COMMIT I"
        );
        assert_eq!(twice(wire, "d"), "BEGIN INSERT 0 2 T");
        assert_eq!(wire.query("commit"), "23505! I");
    }
    // One that is gone, and one that is new.
    a.query("begin; drop table i; rollback");
    assert_eq!(twice(&mut a, "i"), "BEGIN 23505! E");
    a.query("rollback; drop table i");
    b.query("create table j (a int unique deferrable)");
    a.query("begin; set constraints all deferred; commit");
    assert_eq!((twice(&mut a, "j"), a.query("rollback")), ("BEGIN 23505! E".into(), "ROLLBACK I".into()));
    assert_eq!(b.query("drop table d, j; insert into missing values (1)"), "DROP TABLE 42P01! I");
    assert_eq!(b.query("drop table d, j; begin; commit"), "DROP TABLE BEGIN COMMIT I");
    assert_eq!(b.query("create table d (a int unique deferrable initially deferred)"), "CREATE TABLE I");
    assert_eq!((twice(&mut b, "d"), b.query("commit")), ("BEGIN INSERT 0 2 T".into(), "23505! I".into()));
}

#[ptest::db_test(migrations = false)]
fn what_a_trigger_says_at_a_commit_comes_before_its_tag(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query(
        "create table t (a int); \
         create function says() returns trigger language plpgsql as $$ begin raise notice '%', current_user; return null; end $$; \
         create constraint trigger says after insert on t deferrable initially deferred for each row execute function says()",
    );
    assert_eq!(a.query("insert into t values (1)"), "00000? INSERT 0 1 I");
    assert_eq!(a.query("insert into t values (1); commit"), "INSERT 0 1 25P01? 00000? COMMIT I");
    a.query(
        "create or replace function says() returns trigger language plpgsql as 'begin raise division_by_zero; end'",
    );
    for all in [query("insert into t values (1); commit"), pipelined(&["insert into t values (1)", "commit"])] {
        a.send(&all);
        let error = a.until_ready().into_iter().find(|m| m.tag == b'E').unwrap();
        assert_eq!(error.field(b'W').as_deref(), Some("PL/pgSQL function says() line 1 at RAISE"));
    }
    a.query(
        "create or replace function says() returns trigger language plpgsql as \
         $$ begin raise notice '%', current_user; return null; end $$",
    );
    a.query("begin; insert into t values (1); set local role pg_monitor");
    a.send(&query("commit"));
    let said = a.until_ready().into_iter().find(|m| m.tag == b'N').and_then(|notice| notice.field(b'M'));
    // From version 18 on a trigger runs as who has set it off, before it as who commits.
    assert_eq!(said.as_deref(), Some(if server_version() < 18 { "pg_monitor" } else { "postgres" }));
}

#[ptest::db_test(migrations = false, audit(sandbox = "off"))]
fn a_refused_prepare_transaction_ends_the_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    assert_eq!(a.query("begin; insert into t values (1); prepare transaction 'x'"), "BEGIN INSERT 0 1 0A000! I");
    assert_eq!(a.query("insert into t values (1); prepare transaction 'x'"), "INSERT 0 1 25P01? 0A000! I");
    assert_eq!(
        a.pipeline(&["begin", "insert into t values (1)", "prepare transaction 'x'"]),
        "BEGIN INSERT 0 1 0A000! I"
    );
    assert_eq!(a.query("select count(*) from t"), "(0) SELECT 1 I");
    assert_eq!(a.query("prepare transaction 'x'"), "25P01? ROLLBACK I");
}

#[ptest::db_test(migrations = false)]
fn a_mode_is_set_as_a_setting_outside_of_a_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let set = "set local transaction_isolation = 'serializable'";
    assert_eq!(a.query(&format!("select 1; {set}")), "(1) SELECT 1 25001! I");
    assert_eq!(a.pipeline(&[set]), "25P01? SET I");
    assert_eq!(a.query("set local work_mem = 'x'"), "25P01? 22023! I");
    assert_eq!(a.query("set local work_mem = '5MB'"), "25P01? SET I");
    assert_eq!(a.query("show work_mem"), "(4MB) SHOW I");
}

fn run(sql: &str) -> Vec<u8> {
    [parse_message("", sql), bind("", "", &[]), execute("", 0)].concat()
}

fn pipelined(statements: &[&str]) -> Vec<u8> {
    statements.iter().flat_map(|sql| run(sql)).chain(frame(b'S', b"")).collect()
}

#[ptest::db_test(migrations = false)]
fn a_query_inside_a_batch_may_be_skipped(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let set = "set default_transaction_read_only = on";
    let sync = frame(b'S', b"");
    a.send(&[run(set), execute("none", 0), query("show work_mem"), sync.clone()].concat());
    assert_eq!(show(&a.until_ready()), "1 2 SET 34000! I");
    // The unnamed statement is still there; a query that runs destroys it.
    a.send(&[bind("", "", &[]), query("select 1"), sync.clone()].concat());
    assert_eq!((show(&a.until_ready()), show(&a.until_ready())), ("2 (1) SELECT 1 I".into(), "I".into()));
    a.send(&[bind("", "", &[]), sync.clone()].concat());
    assert_eq!(show(&a.until_ready()), "26000! I");
    // What is local ends with the query's transaction.
    a.send(&[run("select set_config('work_mem', '5MB', true)"), query("commit"), sync].concat());
    assert_eq!(
        (show(&a.until_ready()), show(&a.until_ready())),
        ("1 2 (5MB) SELECT 1 25P01? COMMIT I".into(), "I".into())
    );
    assert_eq!(a.query("show work_mem"), "(4MB) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_query_inside_a_batch_has_no_tag_when_its_commit_fails(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query(CHILD);
    for sql in ["set idle_in_transaction_session_timeout = '90s'", "show transaction_isolation", "set work_mem = '5MB'"]
    {
        a.send(&[run("insert into c values (9)"), query(sql), frame(b'S', b"")].concat());
        let answer = show(&a.until_ready());
        let row = if sql.starts_with("show") { "(read committed) " } else { "" };
        assert_eq!(answer, format!("1 2 INSERT 0 1 {row}23503! I"), "{sql}");
        a.until_ready();
    }
    assert_eq!(a.query("show idle_in_transaction_session_timeout; show work_mem"), "(0) SHOW (4MB) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn close_closes_portals_of_what_the_sandbox_answers(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    for close in ["close all", "close p"] {
        let bound = [parse_message("", "rollback"), bind("p", "", &[])].concat();
        a.send(&[bound, run(close), execute("p", 0), frame(b'S', b"")].concat());
        assert!(show(&a.until_ready()).ends_with("34000! I"), "{close}");
        a.query("begin");
        let bound = [parse_message("", "rollback"), bind("p", "", &[]), frame(b'S', b"")].concat();
        a.send(&[bound, query(close), execute("p", 0), frame(b'S', b"")].concat());
        assert_eq!(
            (show(&a.until_ready()), show(&a.until_ready())),
            ("1 2 T".into(), "CLOSE CURSOR".to_owned() + if close.ends_with("all") { " ALL T" } else { " T" })
        );
        assert_eq!(show(&a.until_ready()), "34000! E");
        a.query("rollback");
    }
}

#[ptest::db_test(migrations = false)]
fn a_client_is_accepted_before_its_settings_are_refused(url: PgUrl) {
    let said = |parameters| show(&Wire::start(url.as_str(), parameters).1);
    assert_eq!(said(&[("work_mem", "x")]), "R 22023!");
    assert_eq!(said(&[("default_transaction_read_only", "x")]), "R 22023!");
}

#[ptest::db_test(migrations = false)]
fn what_follows_a_prepare_transaction_of_nothing_is_as_read_only_as_before(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    if server_version() >= 18 {
        // Behind a statement there is something: a transaction block.
        assert_eq!(a.pipeline(&["set work_mem = '5MB'", "prepare transaction 'p'"]), "SET 25P01? 0A000! I");
        return;
    }
    a.query("create table t (a int); set default_transaction_read_only = on");
    a.send(&[run("set work_mem = '5MB'"), run("prepare transaction 'p'"), run("insert into t values (1)")].concat());
    a.send(&frame(b'S', b""));
    let answer = show(&a.until_ready());
    assert!(answer.contains("ROLLBACK") && answer.ends_with("25006! I"), "{answer}");
    for (name, after) in [("b", ""), ("c", "insert into t values (1)")] {
        let set = format!("set application_name = '{name}'");
        let told = a.pipeline(&[&set, "prepare transaction 'p'", "set transaction read write", after]);
        assert!(told.ends_with(&format!("application_name={name} I")), "{told}");
        assert_eq!(told.contains("INSERT 0 1"), !after.is_empty(), "{told}");
    }
    assert_eq!(a.query("show work_mem; show application_name"), "(5MB) SHOW (c) SHOW I");
}

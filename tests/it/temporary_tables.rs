//! Temporary tables and what a commit does to them, as the test's own sessions see it.

use std::time::Duration;

use ptest::PgUrl;

use crate::wire::{Wire, frame, query, show};

#[ptest::db_test(migrations = false)]
fn a_table_does_not_inherit_the_end_of_its_namesake(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("begin; create temp table t (a int) on commit drop; commit");
    a.query("create temp table T (a int); insert into t values (1)");
    assert_eq!(a.query("select * from t"), "(1) SELECT 1 I");
    a.query("drop table t; create temp table t (a int) on commit delete rows");
    a.query("begin; drop table t; create temp table t (a int); insert into t values (2); commit");
    assert_eq!(a.query("select * from t"), "(2) SELECT 1 I");
}

#[ptest::db_test(migrations = false)]
fn what_is_rolled_back_ends_no_table(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create temp table t (a int)");
    for sql in ["create temp table t () on commit drop", "create temp table u () on commit drop; select 1/0"] {
        a.query(sql);
        a.query(&format!("begin; savepoint s; {sql}"));
        a.query("rollback to s; commit");
    }
    a.query("begin; drop table t; create temp table t () on commit delete rows; rollback");
    a.query("create temp table u (a int); insert into u values (1)");
    a.pipeline(&["insert into t values (1)"]);
    assert_eq!(a.query("select * from t, u"), "(1,1) SELECT 1 I");
}

#[ptest::db_test(migrations = false)]
fn a_commit_clears_tables_whatever_the_role_may_do(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create role ptest_somebody");
    for become_somebody in ["set role ptest_somebody", "set session authorization ptest_somebody"] {
        a.query("create temp table t (a int) on commit delete rows");
        let begin = "begin; create temp table u () on commit drop; insert into t values (1)";
        assert_eq!(a.query(begin), "BEGIN CREATE TABLE INSERT 0 1 T");
        a.query(become_somebody);
        assert_eq!(a.query("commit; select current_user"), "COMMIT (ptest_somebody) SELECT 1 I");
        a.query(become_somebody);
        assert_eq!(a.query("select 1"), "(1) SELECT 1 I");
        assert_eq!(a.query("show is_superuser"), "(off) SHOW I");
        a.query("reset session authorization; reset role");
        assert_eq!(a.query("select * from t"), "SELECT 0 I");
        assert_eq!(a.query("select 'u'::regclass"), "42P01! I");
        a.query("drop table t");
    }
}

#[ptest::db_test(migrations = false)]
fn a_commit_clears_tables_that_depend_on_each_other(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create temp table p (a int primary key) on commit delete rows");
    a.query("create temp table c (a int references p) on commit delete rows");
    assert_eq!(a.query("begin; insert into p values (1); insert into c values (1)"), "BEGIN INSERT 0 1 INSERT 0 1 T");
    assert_eq!(a.query("commit; select * from p, c"), "COMMIT SELECT 0 I");
    // A table's own clause counts, not its parent's, and what depends on a table goes with it without a word.
    a.query("create temp table l (a int) partition by list (a) on commit delete rows");
    a.query("create temp table l1 partition of l for values in (1)");
    assert_eq!(a.query("insert into l values (1)"), "INSERT 0 1 I");
    a.query("create temp table i (a int) on commit delete rows; create temp table j () inherits (i)");
    assert_eq!(a.query("insert into i values (1); insert into j values (2)"), "INSERT 0 1 INSERT 0 1 I");
    assert_eq!(a.query("select * from l; select * from i"), "(1) SELECT 1 (2) SELECT 1 I");
    let both = "begin; create temp table d (a int) on commit drop; \
        create temp table e () inherits (d) on commit delete rows; commit";
    assert_eq!(a.query(both), "BEGIN CREATE TABLE CREATE TABLE COMMIT I");
    let dropped = "begin; create temp table d (a int) on commit drop; create temp view v as select a from d; commit";
    assert_eq!(a.query(dropped), "BEGIN CREATE TABLE CREATE VIEW COMMIT I");
    assert_eq!(a.query("select 'v'::regclass"), "42P01! I");
}

#[ptest::db_test(migrations = false)]
fn a_commit_leaves_the_tables_of_other_sessions(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let mut b = Wire::connect(url.as_str());
    a.query("create temp table t (a int) on commit delete rows");
    assert_eq!(a.query("begin; insert into t values (1); commit"), "BEGIN INSERT 0 1 COMMIT I");
    b.query("create table other ()");
    assert_eq!(b.query("insert into t values (2)"), "INSERT 0 1 I");
    assert_eq!(b.query("select * from t"), "(2) SELECT 1 I");
    assert_eq!(a.query("select * from t"), "(2) SELECT 1 I");
    assert_eq!(b.query("select * from t"), "SELECT 0 I");
}

#[ptest::db_test(migrations = false)]
fn a_session_that_waits_to_end_leaves_what_another_makes_meanwhile(url: PgUrl) {
    let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    a.query("create temp table t (a int)");
    b.query("begin");
    a.send(&frame(b'X', b""));
    // It says nothing before it has had its turn.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(b.query("create temp table u (a int)"), "CREATE TABLE T");
    assert_eq!(b.query("commit"), "COMMIT I");
    assert!(a.next().is_none());
    assert_eq!(b.query("select from u"), "SELECT 0 I");
}

#[ptest::db_test(migrations = false)]
fn a_session_that_ends_with_its_turn_leaves_the_next_no_names(url: PgUrl) {
    for last in ["select pg_sleep(0.2)", "copy t from stdin"] {
        let (mut a, mut b) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
        a.query("create temp table t (a int)");
        a.send(&query(last));
        std::thread::sleep(Duration::from_millis(50));
        b.send(&query("create temp table t (a int)"));
        std::thread::sleep(Duration::from_millis(50));
        drop(a);
        assert_eq!(show(&b.until_ready()), "CREATE TABLE I", "{last}");
    }
}

//! What a statement mentions.

use super::super::{Hints, split};

#[test]
fn hints() {
    const NONE: Hints = Hints::empty();
    for (sql, expected) in [
        ("select 1", NONE),
        ("create table t (a int primary key deferrable)", Hints::DEFERRABLE),
        ("create table t (a int unique INITIALLY /*x*/ Deferred)", Hints::DEFERRABLE),
        ("create constraint trigger x after insert on t execute function f()", Hints::DEFERRABLE),
        ("create table t (a int initially, deferred int)", NONE),
        ("create trigger x after insert on t execute function f()", NONE),
        ("set constraints all deferred", NONE),
        ("select 'deferrable', \"deferrable\" /* deferrable */ -- deferrable", NONE),
        ("begin not deferrable", NONE),
        ("set transaction deferrable", NONE),
        ("set session characteristics as transaction deferrable", NONE),
        ("begin foo deferrable", Hints::DEFERRABLE),
        ("create temp table t ()", Hints::TEMP),
        ("create Temporary table t ()", Hints::TEMP),
        ("create table pg_temp.t ()", Hints::TEMP),
        ("drop table \"pg_temp_3\".t", Hints::TEMP),
        ("create table \"temp\" (temporal int, tempo int)", NONE),
        ("declare c cursor for select 1", Hints::CURSOR),
        ("create function f() returns refcursor language sql return 'x'", Hints::CURSOR),
        ("select set_config('a.b', 'c', true)", Hints::SET_CONFIG),
        ("select pg_catalog.\"set_config\"('a.b', 'c', true)", Hints::SET_CONFIG),
        ("select set_configs, reset_config", NONE),
        ("select pg_advisory_xact_lock(1)", Hints::ADVISORY),
        ("select PG_TRY_ADVISORY_LOCK(1)", Hints::ADVISORY),
        ("select \"pg_advisory_unlock_all\"()", Hints::ADVISORY),
        ("select my_pg_advisory_lock(1), pg_try, pg_tem", NONE),
        ("select $$ pg_advisory_lock $$, 'set_config'", NONE),
        ("create temp table t as select set_config('a', 'b', false)", Hints::TEMP | Hints::SET_CONFIG),
        ("create temp table t (); select '", Hints::TEMP),
    ] {
        let statements = split(sql.as_bytes(), true);
        assert_eq!(statements.len(), 1, "{sql}");
        assert_eq!(statements[0].hints, expected, "{sql}");
    }
}

#[test]
fn hints_belong_to_their_statement() {
    let statements = split(b"create temp table t (); select 1; select set_config('a', 'b', true)", true);
    let hints: Vec<_> = statements.iter().map(|statement| statement.hints).collect();
    assert_eq!(hints, [Hints::TEMP, Hints::empty(), Hints::SET_CONFIG]);
    assert!(hints[0].contains(Hints::TEMP) && !hints[0].contains(Hints::CURSOR));
}

//! The tables and routines that a conversation finds.

/// What makes them; in a `bare` database, no commit has anything to check.
pub(super) fn make(bare: bool) -> impl Iterator<Item = &'static str> {
    let constraints: &[_] = if bare { &[] } else { &CONSTRAINTS };
    TABLES.iter().chain(constraints).copied()
}

/// What makes them as they were at first, where a conversation may have left `objects` or not.
pub(super) fn clear(bare: bool, objects: bool) -> String {
    let objects = if objects { OBJECTS } else { "" };
    let constraints =
        if bare { "" } else { "delete from child; delete from watched; delete from parent where id <> 1;" };
    format!("{objects} drop table if exists u, v; delete from t; {constraints} delete from t")
}

const OBJECTS: &str = "drop materialized view if exists m; drop table if exists x; drop type if exists mood; \
    drop schema if exists s cascade; drop function if exists made(); revoke select on t from pg_monitor; \
    create or replace view seen as select a from t;";

const TABLES: [&str; 9] = [
    "create table t (a int primary key, b text)",
    "create function f(int) returns int language plpgsql as 'begin if $1 = 0 then raise division_by_zero; end if; \
     return $1; end'",
    "create function caught() returns text language plpgsql as $$ begin insert into t values (1, 'f'); \
     perform f(0); return ''; exception when others then raise notice 'caught'; return sqlerrm; end $$",
    "create procedure ends() language plpgsql as 'begin commit; end'",
    "create procedure undoes() language plpgsql as $$ begin insert into t values (6, 'f'); rollback; end $$",
    "create table parent (id int primary key)",
    "create view seen as select a from t",
    "create function opened(refcursor) returns refcursor language plpgsql as $$ begin \
     open $1 for select a from t order by a; return $1; end $$",
    "create function inside() returns text language plpgsql set work_mem = '9MB' as \
     $$ begin return current_setting('work_mem'); end $$",
];

/// What a commit has to check.
const CONSTRAINTS: [&str; 5] = [
    "insert into parent values (1)",
    "create table child (parent int references parent deferrable initially deferred)",
    "create table watched (a int)",
    "create function watch() returns trigger language plpgsql as $$ begin if new.a = 13 then raise 'unlucky'; end if; \
     raise notice 'watched %', new.a; insert into t values (new.a + 20, current_user); return null; end $$",
    "create constraint trigger watch after insert on watched deferrable initially deferred \
     for each row execute function watch()",
];

//! What the clients of a conversation say.

mod objects;
mod settings;

use objects::{CONSTRAINTS, CURSORS, OBJECTS, TEMPORARY};
use settings::{FORMATS, ROLES, SESSIONS, SETTINGS, STRINGS};

/// Whether a statement gives a commit something to do beyond releasing a savepoint.
pub(super) fn burdens_commits(text: &str) -> bool {
    ["deferrable initially", "temp", "hold", "constraints"].iter().any(|word| text.contains(word))
}

/// Whether something that is said may leave objects for `clear` to drop.
pub(super) fn leaves_objects(said: &str) -> bool {
    let mut objects =
        OBJECTS.iter().filter(|text| ["create", "grant", "into x"].iter().any(|word| text.contains(word)));
    objects.any(|text| said.contains(text))
}

/// What a statement is picked from, each as often as it stands here; `@` is a number of the session's.
pub(super) const POOLS: [&[&str]; 28] = [
    WORK,
    WORK,
    WORK,
    WORK,
    WORK,
    CONTROL,
    CONTROL,
    CONTROL,
    CONTROL,
    CONTROL,
    SAVEPOINTS,
    SAVEPOINTS,
    SETTINGS,
    SETTINGS,
    PREPARED,
    CURSORS,
    CURSORS,
    TEMPORARY,
    TEMPORARY,
    CONSTRAINTS,
    STRINGS,
    REST,
    REST,
    ROLES,
    OBJECTS,
    OBJECTS,
    FORMATS,
    SESSIONS,
];

const WORK: &[&str] = &[
    "insert into t values (1, 'a')",
    "insert into t values (2, 'b')",
    "insert into t values (3, 'c') returning a, b",
    "select a, b from t order by a",
    "select count(*) from t",
    "update t set b = b || 'x'",
    "delete from t where a = 1",
    "delete from t",
    "select generate_series(1, 4)",
    "values (1), (2)",
    "table t order by a",
    "with w as (insert into t values (5, 'e') returning a) select a from w",
    "/* c */ (select 1)",
    "select 1/0",
    "select * from missing",
    "selec 1",
    "select 'é', missing from t",
    "do $$ begin raise notice 'n'; end $$",
    "truncate u",
    "insert into t values (1, 'z') on conflict (a) do update set b = excluded.b returning b",
    "select f(0)",
    "select f(1), f(2)",
    "select caught()",
    "create table u (a int unique deferrable initially deferred)",
    "insert into u values (1)",
    "insert into u values (1), (1)",
    "drop table u",
    "alter table u add column b int",
    "create table v (a int)",
    "drop table if exists v",
];

const CONTROL: &[&str] = &[
    "begin",
    "begin",
    "begin",
    "BEGIN /* c */ work",
    "start transaction",
    "begin isolation level serializable",
    "begin isolation level repeatable read, read only",
    "begin read only",
    "begin transaction deferrable",
    "commit",
    "commit",
    "commit",
    "End",
    "commit and chain",
    "commit and no chain",
    "rollback",
    "rollback",
    "abort",
    "rollback and chain",
    "set transaction isolation level repeatable read",
    "set transaction read only",
    "set transaction read write",
];

const SAVEPOINTS: &[&str] = &[
    "savepoint a",
    "savepoint a",
    "savepoint b",
    "rollback to a",
    "rollback to savepoint b",
    "release a",
    "release savepoint b",
    "savepoint a; savepoint a; release a",
    "savepoint b; rollback to a; release b",
    "rollback to a; rollback to a",
];

const PREPARED: &[&str] = &[
    "prepare q as select 1",
    "prepare q (int) as select $1 + 1",
    "prepare r as insert into t values (4, 'd')",
    "execute q",
    "execute q (2)",
    "execute r",
    "deallocate q",
    "deallocate prepare r",
    "deallocate all",
];

const REST: &[&str] = &[
    "",
    "-- nothing",
    "lock table t",
    "copy (select 1) to stdout",
    "copy (table t order by a) to stdout",
    "copy parent to stdout (format binary)",
    "copy (select 1/0) to stdout",
    "discard all",
    "discard plans",
    "discard sequences",
    "close all",
    "select set_config('my.own', 'v', true)",
    "select coalesce(current_setting('my.own', true), '')",
    "explain (costs off) execute q",
    "create table t (x int)",
    "listen x",
    "unlisten x",
    "unlisten *",
    "notify x",
    "notify x, 'y'",
    "select pg_notify('x', 'y')",
    "prepare transaction 'p'",
    "copy t from stdin (format nothing)",
    "do $$ begin perform 1/0; exception when others then raise notice '%', sqlerrm; end $$",
];

/// Statements of one value.
pub(super) const WITH_VALUE: [&str; 7] = [
    "select $1::int + 1",
    "insert into t values ($1, 'p')",
    "select set_config('work_mem', $1, true)",
    "select set_config('default_transaction_deferrable', $1, false)",
    "select 1 / ($1::int - 1)",
    "select a from t where a = $1",
    "select set_config('role', case $1 when 'on' then 'pg_monitor' else 'none' end, true)",
];

/// Procedures that end transactions: a server runs them where they are the whole of a batch, outside of a transaction.
/// Whether it does or not, they leave nothing.
pub(super) const PROCEDURES: [&str; 4] = [
    "call ends()",
    "call undoes()",
    "do $$ begin commit; end $$",
    "do $$ begin insert into t values (6, 'f'); rollback; perform 1/0; end $$",
];

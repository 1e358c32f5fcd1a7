//! What the tests of the proof do to their database: a schema with something of everything, and ways to wreck it.

use sqlx::{AssertSqlSafe, Executor, PgPool};

pub(super) const SCHEMA: &str = "
create type mood as enum ('glad', 'sad');
create domain amount as bigint check (value >= 0);
create table item (id int generated always as identity primary key, name text not null unique, price amount);
create table part (id serial primary key, item int references item deferrable initially deferred, mood mood);
create index part_mood on part (mood) where item is not null;
create sequence ticket start 100 increment 5;
create view cheap as select * from item where price < 3;
create materialized view prices as select price from item;
create table log (at timestamptz default clock_timestamp(), line text);
create table measure (day date, value int) partition by range (day);
create table measure_2020 partition of measure for values from ('2020-01-01') to ('2021-01-01');
create function noted() returns trigger language plpgsql as
    $$ begin insert into log (line) values (tg_op); return new; end $$;
create trigger noted after insert or update on item for each row execute function noted();
create function total() returns bigint language plpgsql as
    $$ declare found record; sum bigint := 0;
    begin for found in select * from item loop sum := sum + found.price; end loop; return sum; end $$;
comment on table item is 'what there is';
insert into item (name, price) values ('a', 1), ('b', 2), ('c', 3);
insert into part (item, mood) values (1, 'glad'), (2, 'sad');
refresh materialized view prices;
select nextval('ticket');
";

/// How many of them fail.
pub(super) const FAIL: usize = 3;

pub(super) const ALL: &[&[&str]] = &[
    &[
        "create table more (id serial primary key, t text)",
        "insert into more (t) select 'x' from generate_series(1, 100)",
        "alter table item add column colour text default 'red'",
        "alter table log alter column line type varchar(70)",
        "alter table part drop column mood",
        "alter table item rename to thing",
        "create index concurrent_not on more (t)",
        "select count(*) from more",
    ],
    &[
        "select nextval('ticket'), nextval('item_id_seq'), nextval('part_id_seq')",
        "select setval('ticket', 7, false), setval('item_id_seq', 1000)",
        "alter sequence part_id_seq restart with 50",
        "insert into part (item) values (3)",
        "truncate item restart identity cascade",
        "create sequence other; select nextval('other')",
    ],
    &[
        "create temporary table mine (id serial) on commit drop; create temporary table kept ()",
        "set search_path = pg_temp, public",
        "set role pg_monitor",
        "set time zone 'Asia/Tokyo'; set datestyle = german; set statement_timeout = '1min'",
        "select set_config('app.user', 'admin', false)",
        "prepare mine as select 1",
        "listen mine; notify mine",
    ],
    &[
        "begin; declare mine cursor with hold for select * from item; fetch mine; commit",
        "fetch mine; move mine",
        "select pg_advisory_lock(7), pg_advisory_lock_shared(1, 2)",
        "begin; lock table item; savepoint a; delete from part; rollback to a",
    ],
    &[
        "select lo_from_bytea(0, 'large')",
        "select lo_put(lo_create(4711), 0, 'larger')",
        "comment on table item is 'what there was'; comment on column item.name is 'its name'",
        "comment on large object 4711 is 'a large object'",
        "grant select on item to public; revoke all on part from current_user",
        "alter default privileges grant all on tables to public",
    ],
    &[
        "create or replace function total() returns bigint language sql as 'select 42::bigint'",
        "select total()",
        "drop trigger noted on item; create rule quiet as on insert to log do instead nothing",
        "alter table part disable trigger all; alter table item enable row level security",
        "create policy mine on item using (true)",
        "create or replace view cheap as select id, name, price from item where price < 2",
        "insert into item (name, price) values ('d', 4)",
    ],
    &[
        "do $$ begin create extension if not exists citext; create extension if not exists hstore; \
         exception when others then null; end $$",
        "create role ptest_proof; grant ptest_proof to current_user; alter table item owner to ptest_proof",
        "create schema mine; create table mine.item as select * from item",
        "create publication mine for table item",
        "create statistics mine (dependencies) on name, price from item",
    ],
    &[
        "analyze; analyze item",
        "reindex table item; cluster item using item_pkey",
        "refresh materialized view prices",
        "alter table log set unlogged; alter table log set logged",
        "alter table part alter column id type bigint",
        "create table measure_2021 partition of measure for values from ('2021-01-01') to ('2022-01-01')",
        "alter table measure detach partition measure_2020; insert into measure values ('2021-07-01', 1)",
    ],
    &[
        "create type size as enum ('s', 'm'); alter table item add size size",
        "alter type mood rename value 'sad' to 'blue'; alter type mood add value 'new'",
        "alter domain amount drop constraint amount_check; create cast (mood as int) with inout",
        "create aggregate mine (int) (sfunc = int4pl, stype = int)",
        "create operator public.=== (leftarg = int, rightarg = int, function = int4eq)",
        "update part set mood = 'glad'; select * from part",
    ],
    &["drop schema public cascade; create schema public", "create table item (id text)"],
    &[
        "insert into item (name, price) select 'n' || g, g from generate_series(10, 3000) g",
        "update item set price = price + 1; delete from item where id > 5",
        "create table wide as select repeat(md5(g::text), 100) t from generate_series(1, 300) g",
    ],
    &[
        "alter table part add constraint late check (id > 0) not valid; alter table part validate constraint late",
        "set constraints all immediate",
        "begin; insert into part (item) values (99); insert into item overriding system value values (99, 'z', 9); commit",
        "create table child () inherits (item); alter table child no inherit item",
        "create foreign data wrapper mine; create server mine foreign data wrapper mine",
        "create function made() returns event_trigger language plpgsql as 'begin end'",
        "create event trigger mine on ddl_command_end execute function made()",
    ],
    &["do $$ begin execute format('alter database %I set work_mem = ''1MB''', current_database()); end $$"],
    &["drop table item cascade; drop function total()", "begin", "insert into log (line) values ('open')"],
    &["drop table part; insert into log (line) values ('fails')", "select 1 / 0"],
    &["create table panics (); select nextval('ticket')", "panic"],
    &[
        "insert into log (line) values ('ends')",
        "alter table log add more int",
        "select pg_terminate_backend(pg_backend_pid())",
    ],
];

/// Runs one of them, all on one connection.
pub(super) async fn run(number: usize, pool: &PgPool) -> sqlx::Result<()> {
    println!("body {number}");
    let mut conn = pool.acquire().await?;
    for statement in ALL[number] {
        assert_ne!(*statement, "panic", "as it should");
        let result = conn.execute(AssertSqlSafe(*statement)).await;
        result.inspect_err(|error| println!("body {number}: {statement}: {error}"))?;
    }
    Ok(())
}

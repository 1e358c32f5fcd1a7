//! Settings, prepared statements, cursors, copies, and what needs autocommit.

use super::check;

#[test]
fn set() {
    check(&[
        ("set work_mem = '4MB'", "set work_mem = '4MB'"),
        ("SET Search_Path TO a , \"$user\" ; x", "set search_path = a , \"$user\"; other"),
        ("set session work_mem=5", "set work_mem = 5"),
        ("set local work_mem to default", "set local work_mem = default"),
        ("set x.y = -1", "set x.y = -1"),
        ("set \"A\" . /* . */ B.c to on -- no", "set a.b.c = on"),
        ("set datestyle from current", "set datestyle = from current"),
        ("set time zone 'UTC'", "set timezone = 'UTC'"),
        ("set local time zone interval '1' hour to minute", "set local timezone = interval '1' hour to minute"),
        ("set role none", "set role = none"),
        ("set local role 'x'", "set local role = 'x'"),
        ("set role = 'x'", "set role = 'x'"),
        ("set session authorization default", "set session_authorization = default"),
        ("set local session authorization 'x'", "set local session_authorization = 'x'"),
        ("set session session authorization x", "set session_authorization = x"),
        ("set names 'utf8'", "set client_encoding = 'utf8'"),
        ("set names", "set client_encoding = "),
        ("set names = 'x'", "set names = 'x'"),
        ("set schema 'public'", "set search_path = 'public'"),
        ("set xml option document", "set xmloption = document"),
        ("set local = 1", "set local = 1"),
        ("set local.x to 1", "set local.x = 1"),
        ("set session to 3", "set session = 3"),
        ("set session session.b = 3", "set session.b = 3"),
        ("set time = 1", "set time = 1"),
        ("set local time = 1", "set local time = 1"),
        ("set transaction_isolation = 'serializable'", "set transaction_isolation = 'serializable'"),
        ("set", "other"),
        ("set x", "other"),
        ("set x =", "other"),
        ("set x from", "other"),
        ("set x y", "other"),
        ("set x from current y", "other"),
        ("set x. = 1", "other"),
        ("set select = 1", "other"),
        ("set 'x' = 1", "other"),
        ("set time zone", "other"),
        ("set authorization = 1", "other"),
    ]);
}

#[test]
fn reset_show_discard() {
    check(&[
        ("reset all", "reset ALL"),
        ("reset \"all\"", "reset all"),
        ("reset Work_Mem", "reset work_mem"),
        ("reset a.b", "reset a.b"),
        ("reset time zone", "reset timezone"),
        ("reset time", "reset time"),
        ("reset session authorization", "reset session_authorization"),
        ("reset transaction isolation level", "reset transaction_isolation"),
        ("reset transaction", "reset transaction"),
        ("show all", "show ALL"),
        ("show \"TimeZone\"", "show timezone"),
        ("show time zone", "show timezone"),
        ("show transaction isolation level", "show transaction_isolation"),
        ("show session authorization", "show session_authorization"),
        ("discard all", "DiscardAll"),
        ("discard temp", "DiscardOther"),
        ("discard temporary", "DiscardOther"),
        ("discard plans", "DiscardOther"),
        ("discard sequences", "DiscardOther"),
        ("reset", "other"),
        ("reset local work_mem", "other"),
        ("reset all all", "other"),
        ("show", "other"),
        ("show tables x", "other"),
        ("discard", "other"),
        ("discard all all", "other"),
        ("discard \"all\"", "other"),
    ]);
}

#[test]
fn prepared_statements() {
    check(&[
        ("prepare p as select 1", "prepare p"),
        ("prepare \"P;\" (int, text) as select $1", "prepare P;"),
        ("prepare transaction as select 1", "prepare transaction"),
        ("prepare transaction (int) as select 1", "prepare transaction"),
        ("execute p", "execute p"),
        ("execute U&\"\\0070\" (1, 'x')", "execute p"),
        ("explain execute p", "execute p"),
        ("explain analyse verbose execute \"q;\"(1)", "execute q;"),
        ("explain (analyze, format json) execute p", "execute p"),
        ("explain verbose create table x as execute p", "execute p"),
        ("create table x as execute p", "execute p"),
        ("create temp table if not exists s.as (a, b) on commit drop as execute p(1) with no data", "execute p"),
        ("create unlogged table x with (fillfactor = 10) as execute p", "execute p"),
        ("create local temporary table x as execute p", "execute p"),
        ("deallocate p", "deallocate p"),
        ("deallocate prepare p", "deallocate p"),
        ("deallocate prepare", "deallocate prepare"),
        ("deallocate all", "deallocate ALL"),
        ("deallocate prepare all", "deallocate ALL"),
        ("deallocate \"all\"", "deallocate all"),
        ("prepare p", "other"),
        ("prepare select as select 1", "other"),
        ("execute", "other"),
        ("deallocate", "other"),
        ("deallocate p q", "other"),
        ("explain select 1", "other"),
        ("explain (select 1)", "other"),
        ("create table x as select 'as execute p'", "other"),
        ("create table x (a int)", "other"),
        ("create trigger x before insert on t execute function execute()", "other"),
    ]);
}

#[test]
fn cursors() {
    check(&[
        ("declare c cursor for select 1", "declare c"),
        ("declare c no scroll cursor with hold for select 1", "declare c, hold"),
        ("declare \"C\" binary insensitive cursor without hold for values (1)", "declare C"),
        ("declare cursor cursor for select 1", "declare cursor"),
        ("declare no no scroll cursor for select 1", "declare no"),
        ("close c", "close c"),
        ("close all", "close ALL"),
        ("close \"all\"", "close all"),
        ("declare c cursor", "other"),
        ("declare c cursor select 1", "other"),
        ("declare c no cursor for select 1", "other"),
        ("declare c cursor with for select 1", "other"),
        ("declare cursor for select 1", "other"),
        ("close", "other"),
        ("fetch all from c", "Fetch"),
        ("move c", "Fetch"),
    ]);
}

#[test]
fn copy() {
    check(&[
        ("copy t from stdin", "copy in"),
        ("COPY \"from\".t (a, b) FROM STDIN WITH (FORMAT csv) WHERE a > 1", "copy in"),
        ("copy binary t from stdin", "copy in"),
        ("copy s . from from stdin", "copy in"),
        ("copy t from stdout", "copy in"),
        ("copy t to stdout", "copy out"),
        ("copy t to stdin", "copy out"),
        ("copy (select ')' from stdin) to stdout (format csv)", "copy out"),
        ("copy (with x as (select 1) select * from x) to stdout", "copy out"),
        ("select 1; copy t(a) from stdin; select 2", "other; copy in; other"),
        ("select 'copy t from stdin'", "other"),
        ("copy t from 'stdin'", "copy"),
        ("copy t to '/tmp/x'", "copy"),
        ("copy t from program 'cat'", "copy"),
        ("copy t to program 'cat'", "copy"),
        ("copy t", "other"),
        ("copy (select 1 from stdin", "other"),
    ]);
}

#[test]
fn others_that_matter() {
    check(&[
        ("listen x", "Listen"),
        ("unlisten *", "Unlisten"),
        ("unlisten x", "Unlisten"),
        ("notify x", "Notify"),
        ("notify \"x\", 'y;'", "Notify"),
        ("lock t", "Lock"),
        ("lock table only t in share mode nowait", "Lock"),
        ("call p()", "Call"),
        ("do $$ begin commit; end $$", "Do"),
        ("do language plpgsql 'begin end'", "Do"),
        ("listen", "other"),
        ("notify x, y", "other"),
        ("lock", "other"),
    ]);
}

#[test]
fn needs_autocommit() {
    check(&[
        ("vacuum", "autocommit VACUUM"),
        ("vacuum (analyze) t", "autocommit VACUUM"),
        ("cluster", "autocommit CLUSTER"),
        ("create database x", "autocommit CREATE DATABASE"),
        ("drop database if exists x", "autocommit DROP DATABASE"),
        ("create tablespace x location '/x'", "autocommit CREATE TABLESPACE"),
        ("create subscription x connection 'y' publication z", "autocommit CREATE SUBSCRIPTION"),
        ("create index concurrently i on t (a)", "autocommit CREATE INDEX CONCURRENTLY"),
        ("create unique index concurrently on t (a)", "autocommit CREATE INDEX CONCURRENTLY"),
        ("drop index concurrently i", "autocommit DROP INDEX CONCURRENTLY"),
        ("reindex (concurrently) table t", "autocommit REINDEX"),
        ("reindex database x", "autocommit REINDEX"),
        ("alter system set x = 1", "autocommit ALTER SYSTEM"),
        ("alter database x set tablespace y", "autocommit ALTER DATABASE SET TABLESPACE"),
        ("alter subscription x add publication y", "autocommit ALTER SUBSCRIPTION"),
        ("alter table t detach partition x concurrently", "autocommit ALTER TABLE DETACH CONCURRENTLY"),
        ("cluster t using i", "other"),
        ("create index i on t (a)", "other"),
        ("drop table t", "other"),
        ("reindex table t", "other"),
        ("alter database x set work_mem = 1", "other"),
        ("alter table t add column concurrently int", "other"),
    ]);
}

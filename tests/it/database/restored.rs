//! What a test commits is put back in place, or its database is replaced by a clone. Either way the next test finds the
//! template, by the digest of the proof.

use sqlx::{AssertSqlSafe, Executor, PgPool, query_scalar};

use crate::package::Package;
use crate::proof::digest;
use crate::rerun::{Outcome, Rerun, server_version};
use crate::scratch_server::ScratchServer;

/// Something of everything that a test can fill, and of what it cannot.
const SCHEMA: &str = "
create table item (id bigint generated always as identity primary key, name text unique, price int);
create table part (id serial primary key, item bigint not null references item, note text);
create table log (line text);
create function noted() returns trigger language plpgsql as $$ begin insert into log values (new.name); return new; end $$;
create trigger noted after insert on item for each row execute function noted();
create table measure (day date, value int) partition by range (day);
create table measure_2020 partition of measure for values from ('2020-01-01') to ('2021-01-01');
create table kind (name text primary key);
insert into kind values ('small'), ('large');
create materialized view prices as select price from item;
create sequence ticket start 100 increment 5;
select nextval('ticket');
create table sum (a int, b int, c int generated always as (a + b) stored);
create table filled (id int generated always as identity primary key, b int unique, c int generated always as (b * 2) stored);
insert into filled (b) values (1), (2), (3);
create table egg (id int primary key, hen int not null);
create table hen (id int primary key, egg int not null references egg deferrable initially deferred);
alter table egg add foreign key (hen) references hen deferrable initially deferred;
insert into egg values (7, 7), (8, 7); insert into hen values (7, 7);
create table animal (id int);
create table cat (name text) inherits (animal);
create table secret (id int, owner text);
alter table secret enable row level security;
alter table secret force row level security;
create policy mine on secret using (owner = current_user);
create table watched (id int);
create table seen (id int);
create function seen() returns trigger language plpgsql as $$ begin insert into seen values (1); return null; end $$;
create trigger seen after delete on watched execute function seen();
alter table watched enable always trigger seen;
do $$ begin execute format('alter database %I set app.mode = test', current_database()); end $$;
";

/// Whether the database of a test that runs these statements serves the next one of its process. Whatever they are, that one
/// finds the template.
#[track_caller]
fn is_restored(schema: &str, statements: &str) -> bool {
    is_restored_on(None, schema, statements)
}

/// The same on a server of the user's.
#[track_caller]
fn is_restored_on(server: Option<&str>, schema: &str, statements: &str) -> bool {
    let package = Package::new(&[("migrations/1_all.sql", schema)]);
    let tests = ["a_reference", "b_first", "c_second"].map(|name| format!("database::restored::{name}"));
    let tests = Rerun::tests(&tests.each_ref().map(String::as_str)).threads(1).without("NEXTEST_TEST_GLOBAL_SLOT");
    let run = tests.package(&package).env(STATEMENTS, statements);
    let outcome = server.into_iter().fold(run, |run, url| run.env("PTEST_DATABASE_URL", url)).run();
    assert_eq!(look(&outcome, "a"), look(&outcome, "c"), "something is left of: {statements}");
    oid(&outcome, "b") == oid(&outcome, "c")
}

#[track_caller]
fn look(outcome: &Outcome, test: &str) -> Vec<String> {
    outcome.passed().lines(&format!("{test} state ")).into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn oid(outcome: &Outcome, test: &str) -> String {
    outcome.passed().lines(&format!("{test} oid "))[0].to_owned()
}

/// Whether the server counts what was written so that it can be restored.
fn server_counts() -> bool {
    server_version() >= 15
}

const STATEMENTS: &str = "PTEST_IT_STATEMENTS";

/// Tests that look at their database, and then may run the statements.
macro_rules! looks {
    ($($name:ident $test:literal $runs:literal)*) => {$(
        #[ptest::db_test(isolation = "database", audit(leaked_session = "off", open_transaction = "off"))]
        #[ignore = "run by other tests, of packages of theirs"]
        async fn $name(pool: PgPool) -> sqlx::Result<()> {
            looks($test, &pool).await?;
            if $runs { run_statements(&pool).await } else { Ok(()) }
        }
    )*};
}
looks! { a_reference "a" false  b_first "b" true  c_second "c" false }

async fn looks(test: &str, pool: &PgPool) -> sqlx::Result<()> {
    let oid = "select oid::bigint from pg_database where datname = current_database()";
    println!("\n{test} oid {}", query_scalar::<_, i64>(oid).fetch_one(pool).await?);
    for line in digest::of(pool).await? {
        println!("{test} state {line}");
    }
    Ok(())
}

async fn run_statements(pool: &PgPool) -> sqlx::Result<()> {
    // On one connection, but not as one string: each commits by itself.
    let mut connection = pool.acquire().await?;
    for statement in std::env::var(STATEMENTS).unwrap().split(";;").filter(|sql| !sql.trim().is_empty()) {
        // Some fail on purpose.
        let _ = connection.execute(AssertSqlSafe(statement.to_owned())).await.inspect_err(|error| println!("{error}"));
    }
    Ok(())
}

/// Each of these is put back in place.
macro_rules! restored {
    ($($name:ident $statements:literal)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(is_restored(SCHEMA, $statements), server_counts(), "{}", $statements);
        }
    )*};
}
restored! {
    a_test_that_writes_nothing_at_all ""
    a_test_that_only_reads "select count(*) from kind;; explain analyze select * from item"
    a_test_that_fills_empty_tables
        "insert into item (name, price) select 'n' || g, g from generate_series(1, 50) g;; \
         insert into part (item, note) select id, repeat('wide', 3000) from item;; \
         update item set price = 7 where id < 5;; delete from part where id > 40;; \
         begin; insert into log values ('never'); rollback;; \
         insert into measure values ('2020-02-02', 2);; \
         select nextval('ticket'), setval('part_id_seq', 1000);; \
         select pg_advisory_lock(7);; set app.mode = 'other';; prepare mine as select 1;; listen mine"
    identity_and_generated_columns
        "insert into item (name) values ('a');; insert into item overriding system value values (99, 'z', 9);; \
         insert into sum (a, b) values (1, 2);; update sum set a = 5"
    inheritance "insert into animal values (1);; insert into cat values (2, 'tom');; update animal set id = id + 1"
    row_security "insert into secret values (1, 'someone else''s');; insert into secret values (2, 'postgres')"
    an_aborted_transaction "begin;; insert into item (name) values ('a');; select 1 / 0;; rollback"
    a_transaction_that_is_left_open "begin;; insert into item (name) values ('a')"
    a_session_that_ends_itself "insert into item (name) values ('a');; select pg_terminate_backend(pg_backend_pid())"
    sequences_alone "select nextval('ticket');; select setval('item_id_seq', 77)"
}

/// Tables that the template fills are put back from a copy, which the first test that writes to one brings about.
macro_rules! copied {
    ($($name:ident $statements:literal)*) => {$(
        #[test]
        fn $name() {
            is_copied($statements);
        }
    )*};
}
copied! {
    a_table_that_had_rows "update kind set name = upper(name)"
    a_table_that_has_its_rows_again "begin; delete from kind; rollback"
    other_rows_than_the_template_has "delete from kind;; insert into kind values ('other')"
    a_filled_table_with_identity_and_generated_columns
        "update filled set b = 10 where id = 2;; delete from filled where id = 1;; insert into filled (b) values (5)"
    a_foreign_key_in_a_circle
        "begin; insert into egg values (1, 1); insert into hen values (1, 1); commit;; delete from egg where id = 8"
}

#[track_caller]
fn is_copied(statements: &str) {
    let package = Package::new(&[("migrations/1_all.sql", SCHEMA)]);
    let names = ["a_reference", "b_first", "b_second", "c_third"];
    let tests = names.map(|name| format!("database::restored::twice::{name}"));
    let tests = Rerun::tests(&tests.each_ref().map(String::as_str)).threads(1).without("NEXTEST_TEST_GLOBAL_SLOT");
    let outcome = tests.package(&package).env(STATEMENTS, statements).run();
    assert_eq!(look(&outcome, "a"), look(&outcome, "b2"), "after a clone: {statements}");
    assert_eq!(look(&outcome, "a"), look(&outcome, "c"), "after a copy: {statements}");
    assert_ne!(oid(&outcome, "b1"), oid(&outcome, "b2"), "there was no copy yet");
    assert_eq!(oid(&outcome, "b2") == oid(&outcome, "c"), server_counts(), "{statements}");
}

mod twice {
    use super::*;

    looks! { a_reference "a" false  b_first "b1" true  b_second "b2" true  c_third "c" false }
}

/// Each of these leaves what only a clone undoes.
macro_rules! replaced {
    ($($name:ident $statements:literal)*) => {$(
        #[test]
        fn $name() {
            assert!(!is_restored(SCHEMA, $statements), "served another test after: {}", $statements);
        }
    )*};
}
replaced! {
    a_table_of_the_test "create table more (id int)"
    a_table_that_is_gone_again "create table more (id int);; drop table more"
    a_temporary_table "create temporary table mine (id int)"
    a_column "alter table item add more int"
    a_function "create or replace function noted() returns trigger language plpgsql as 'begin return new; end'"
    a_truncated_table "insert into item (name) values ('a');; truncate item cascade"
    an_altered_sequence "alter sequence ticket increment 7"
    a_refreshed_view "refresh materialized view prices"
    a_large_object "select lo_from_bytea(0, 'large')"
    a_comment "comment on table item is 'what there was'"
    a_comment_on_the_database "do $$ begin execute format('comment on database %I is ''mine''', current_database()); end $$"
    a_setting_of_the_database "do $$ begin execute format('alter database %I set work_mem = ''1MB''', current_database()); end $$"
    a_setting_of_a_role_in_the_database
        "do $$ begin execute format('alter role current_user in database %I set work_mem = ''1MB''', current_database()); end $$"
    a_grant "grant select on item to public"
    a_grant_on_the_database "do $$ begin execute format('revoke connect on database %I from public', current_database()); end $$"
    a_limit_of_the_database "do $$ begin execute format('alter database %I connection limit 50', current_database()); end $$"
    statistics_of_columns "insert into item (name) select g::text from generate_series(1, 500) g;; analyze item"
    counters_that_were_reset
        "create table more (id int);; do $$ begin perform pg_stat_force_next_flush(); exception when undefined_function \
         then null; end $$;; select pg_stat_reset()"
    counters_that_do_not_count "set track_counts = off;; insert into item (name) values ('a')"
    many_rows "insert into log select 'x' from generate_series(1, 20000)"
    a_trigger_that_always_fires "insert into watched values (1)"
    a_catalogue_written_by_hand "update pg_proc set prosrc = prosrc where proname = 'noted'"
    a_policy "create policy other on secret using (true)"
    a_trigger_that_is_off "alter table item disable trigger noted;; insert into item (name) values ('a')"
    an_extension "create extension if not exists citext;; create schema other"
}

#[test]
fn a_schema_with_a_trigger_that_nothing_stops_is_not_restored() {
    let trigger = "create function made() returns event_trigger language plpgsql as 'begin insert into log values (tg_event); end'; \
         create event trigger made on ddl_command_end execute function made(); alter event trigger made enable always;";
    assert!(!is_restored(&format!("{SCHEMA}{trigger}"), "insert into item (name) values ('a')"));
}

/// Where each test is a process, the database is put back before it ends.
#[test]
fn a_process_for_each_test() {
    let package = Package::new(&[("migrations/1_all.sql", &format!("/* processes */ {SCHEMA}"))]);
    let run = |name: &str, statements: &str| {
        let test = Rerun::test(&format!("database::restored::{name}")).env("NEXTEST_TEST_GLOBAL_SLOT", "0");
        test.package(&package).env(STATEMENTS, statements).run()
    };
    let reference = run("a_reference", "");
    for (statements, in_place) in [("insert into item (name) values ('a')", true), ("create table more ()", false)] {
        let (first, second) = (run("b_first", statements), run("c_second", ""));
        assert_eq!(look(&reference, "a"), look(&second, "c"), "{statements}");
        assert_eq!(oid(&first, "b") == oid(&second, "c"), in_place && server_counts(), "{statements}");
    }
}

#[test]
fn a_server_of_the_users() {
    let server = ScratchServer::start("", "create database app");
    let is_restored = |statements| is_restored_on(Some(&server.tcp("postgres")), SCHEMA, statements);
    assert_eq!(is_restored("insert into item (name) values ('a');; select nextval('ticket')"), server_counts());
    assert!(!is_restored("create table more (id int)"));
    assert!(!is_restored(
        "do $$ begin execute format('comment on database %I is ''mine''', current_database()); end $$"
    ));

    for statements in [
        "begin;; insert into item (name) values ('a');; prepare transaction 'ptest_left'",
        "select pg_create_logical_replication_slot('ptest_left', 'test_decoding')",
    ] {
        assert!(!is_restored_on(Some(&server.tcp("postgres")), SCHEMA, statements), "{statements}");
    }

    let package = Package::new(&[("migrations/1_all.sql", SCHEMA)]);
    let hammered = Rerun::module("database::restored::hammered::").package(&package).threads(2);
    hammered.env("PTEST_DATABASE_URL", server.tcp("postgres")).run().passed();
}

/// Threads that tests have left go on connecting by the names that they know, at every moment of the end of a test.
#[test]
fn clients_that_go_on_connecting_reach_no_other_test() {
    let package = Package::new(&[("migrations/1_all.sql", &format!("/* hammered */ {SCHEMA}"))]);
    let outcome = Rerun::module("database::restored::hammered::").package(&package).threads(2).run();
    let of = |word| outcome.passed().lines(word).len();
    println!("{} tests had {} databases", of("name "), {
        let mut databases = outcome.lines("oid ");
        databases.sort();
        databases.dedup();
        databases.len()
    });
    assert_eq!(of("name "), 40);
}

mod hammered {
    use std::time::Duration;

    use sqlx::{Connection, PgConnection, query};

    use super::*;

    macro_rules! tests {
        ($($module:ident)*) => { $( mod $module {
            use super::*;
            tests!(@ a b c d e f g h i j);
        } )* };
        (@ $($name:ident)*) => { $(
            #[ptest::db_test(isolation = "database", audit(leaked_session = "off"))]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, url: ptest::PgUrl) -> sqlx::Result<()> {
                hammer(url.to_string());
                let oid = "select oid::bigint from pg_database where datname = current_database()";
                println!("\nname {url}\noid {}", query_scalar::<_, i64>(oid).fetch_one(&pool).await?);
                for _ in 0..5 {
                    let strangers = "select count(*) from log where line <> $1";
                    assert_eq!(query_scalar::<_, i64>(strangers).bind(url.as_str()).fetch_one(&pool).await?, 0);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                Ok(())
            }
        )* };
    }
    tests!(one two three four);

    /// Connects as often as it can, until its database is gone for long.
    fn hammer(url: String) {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut refused = 0;
                while refused < 20 {
                    let Ok(mut connection) = PgConnection::connect(&url).await else {
                        refused += 1;
                        continue;
                    };
                    let _ = query("insert into log values ($1)").bind(&url).execute(&mut connection).await;
                    let _ = connection.close().await;
                    tokio::time::sleep(Duration::from_millis(4)).await;
                }
            });
        });
    }
}

//! A database whose test has only filled empty tables serves the next one; after any other test, it is thrown away. Either
//! way the next one finds the template, by the digest of the proof.

use ptest::TestDatabase;
use sqlx::{AssertSqlSafe, Executor, PgPool, query_scalar};

use super::SPARES;
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
create table watched (id int);
create table seen (id int);
create function seen() returns trigger language plpgsql as $$ begin insert into seen values (1); return null; end $$;
create trigger seen after delete on watched execute function seen();
alter table watched enable always trigger seen;
do $$ begin execute format('alter database %I set app.mode = test', current_database()); end $$;
";

/// Whether the database of a test that runs these statements serves others. Whatever they are, the next test finds the
/// template.
#[track_caller]
fn is_restored(schema: &str, statements: &str) -> bool {
    is_restored_on(None, schema, statements)
}

/// The same on a server of the user's.
#[track_caller]
fn is_restored_on(server: Option<&str>, schema: &str, statements: &str) -> bool {
    // A schema of its own, so that nobody else leases its databases.
    let package = Package::new(&[("migrations/1_all.sql", &format!("/* {statements} */ {schema}"))]);
    let run = |statements: &str| {
        let rerun = Rerun::test("database::restored::runs_statements").package(&package).env(STATEMENTS, statements);
        server.into_iter().fold(rerun, |rerun, url| rerun.env("PTEST_DATABASE_URL", url)).run()
    };
    let (first, second) = (run(statements), run(""));
    let of = |outcome: &Outcome, word| outcome.passed().lines(word).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of(&first, "state "), of(&second, "state "), "something is left of: {statements}");
    of(&second, "clean ").contains(&of(&first, "oid ")[0])
}

/// Whether the server counts what was written so that it can be restored.
fn server_counts() -> bool {
    server_version() >= 15
}

const STATEMENTS: &str = "PTEST_IT_STATEMENTS";

#[ptest::db_test(isolation = "database")]
#[ignore = "run by other tests, of packages of theirs"]
async fn runs_statements(pool: PgPool) -> sqlx::Result<()> {
    let oid = "select oid::bigint from pg_database where datname = current_database()";
    let oid: i64 = query_scalar(oid).fetch_one(&pool).await?;
    let clean =
        format!("select oid::bigint from pg_database where datname = current_database() or datname in ({SPARES})");
    let family: String = query_scalar("select split_part(current_database(), 'claimed', 1)").fetch_one(&pool).await?;
    println!("\noid {oid}\nfamily {family}");
    for oid in query_scalar::<_, i64>(AssertSqlSafe(clean)).fetch_all(&pool).await? {
        println!("clean {oid}");
    }
    for line in digest::of(&pool).await? {
        println!("state {line}");
    }
    // On one connection, but not as one string: each commits by itself.
    let mut connection = pool.acquire().await?;
    for statement in std::env::var(STATEMENTS).unwrap().split(";;").filter(|sql| !sql.trim().is_empty()) {
        connection.execute(AssertSqlSafe(statement.to_owned())).await?;
    }
    Ok(())
}

#[test]
fn a_test_that_fills_empty_tables() {
    let restored = is_restored(
        SCHEMA,
        "insert into item (name, price) select 'n' || g, g from generate_series(1, 50) g;; \
         insert into part (item, note) select id, repeat('wide', 3000) from item;; \
         update item set price = 7 where id < 5;; delete from part where id > 40;; \
         begin; insert into log values ('never'); rollback;; \
         insert into measure values ('2020-02-02', 2);; \
         select nextval('ticket'), setval('part_id_seq', 1000);; \
         select pg_advisory_lock(7);; set app.mode = 'other';; prepare mine as select 1;; listen mine",
    );
    assert_eq!(restored, server_counts());
}

#[test]
fn a_test_that_only_reads() {
    let restored = is_restored(SCHEMA, "select count(*) from kind;; explain analyze select * from item");
    assert_eq!(restored, server_counts());
}

#[test]
fn a_test_that_writes_nothing_at_all() {
    assert_eq!(is_restored(SCHEMA, ""), server_counts());
}

/// Each of these leaves what no `DELETE` from an empty table undoes.
macro_rules! thrown_away {
    ($($name:ident $statements:literal)*) => {$(
        #[test]
        fn $name() {
            assert!(!is_restored(SCHEMA, $statements), "served another test after: {}", $statements);
        }
    )*};
}
thrown_away! {
    a_table_that_had_rows "update kind set name = upper(name)"
    a_table_that_has_its_rows_again "begin; delete from kind; rollback"
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
    a_grant "grant select on item to public"
    a_grant_on_the_database "do $$ begin execute format('revoke connect on database %I from public', current_database()); end $$"
    a_limit_of_the_database "do $$ begin execute format('alter database %I connection limit 50', current_database()); end $$"
    statistics_of_columns "insert into item (name) select g::text from generate_series(1, 500) g;; analyze item"
    counters_that_were_reset "create table more (id int);; do $$ begin perform pg_stat_force_next_flush(); exception when undefined_function then null; end $$;; select pg_stat_reset()"
    many_rows "insert into log select repeat('x', 1000) from generate_series(1, 2000)"
    a_trigger_that_always_fires "insert into watched values (1)"
    a_catalogue_written_by_hand "update pg_proc set prosrc = prosrc where proname = 'noted'"
}

#[test]
fn a_schema_with_a_trigger_that_nothing_stops_is_not_restored() {
    let trigger = "create function made() returns event_trigger language plpgsql as 'begin insert into log values (tg_event); end'; \
         create event trigger made on ddl_command_end execute function made(); alter event trigger made enable always;";
    assert!(!is_restored(&format!("{SCHEMA}{trigger}"), "insert into item (name) values ('a')"));
}

/// Nobody who knows the name of a test's database finds it when it serves another test.
#[test]
fn a_client_of_the_test_before_does_not_find_the_database() {
    let package = Package::new(&[("migrations/1_all.sql", &format!("/* names */ {SCHEMA}"))]);
    let test = || Rerun::test("database::restored::tells_its_name").package(&package).run();
    let names = [test(), test(), test()].map(|outcome| outcome.passed().lines("name ")[0].to_owned());
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
}

#[ptest::db_test(isolation = "database")]
#[ignore = "run by another test"]
async fn tells_its_name(_: PgPool, database: TestDatabase) {
    println!("\nname {}", database.name());
}

#[test]
fn a_server_of_the_users() {
    let server = ScratchServer::start("", "create database app");
    let is_restored = |statements| is_restored_on(Some(&server.tcp("postgres")), SCHEMA, statements);
    assert_eq!(is_restored("insert into item (name) values ('a');; select nextval('ticket')"), server_counts());
    assert!(!is_restored("create table more (id int)"));
    assert!(!is_restored("update kind set name = upper(name)"));
    assert!(!is_restored(
        "do $$ begin execute format('comment on database %I is ''mine''', current_database()); end $$"
    ));

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

/// The server says itself that a spare is complete: whoever has ordered it may be gone by then.
#[ptest::db_test(isolation = "database", migrations = false)]
async fn a_database_that_is_thrown_away_leaves_a_spare_to_the_next_test(pool: PgPool) -> sqlx::Result<()> {
    let package = Package::new(&[("migrations/1_all.sql", &format!("/* left */ {SCHEMA}"))]);
    let run = Rerun::test("database::restored::runs_statements").package(&package);
    let outcome = run.env(STATEMENTS, "create table more (id int)").run();
    let family = outcome.passed().lines("family ")[0];
    let spares = format!("select count(*) from pg_database where datname in ({SPARES}) and starts_with(datname, $1)");
    for _ in 0..600 {
        if query_scalar::<_, i64>(AssertSqlSafe(spares.as_str())).bind(family).fetch_one(&pool).await? == 1 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no spare of {family}");
}

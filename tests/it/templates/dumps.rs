//! Schemas that psql would read: dumps and other scripts, as a schema of their own and as seeds.

use super::TABLES;
use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun, ask};

/// As pg_dump 15.14 and later write it with `--create`.
const DUMP: &str = r#"--
-- PostgreSQL database dump
--

\restrict 3CnFZzS1c0l

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE DATABASE app WITH TEMPLATE = template0 ENCODING = 'UTF8';
ALTER DATABASE app OWNER TO postgres;

\unrestrict 3CnFZzS1c0l
\connect app
\restrict 3CnFZzS1c0l

SELECT pg_catalog.set_config('search_path', '', false);

ALTER DATABASE app SET "TimeZone" TO 'Asia/Kolkata';

CREATE FUNCTION public.one() RETURNS integer
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT 1;
END;

CREATE TABLE public.dumped (
    id integer NOT NULL,
    name text DEFAULT 'a;b'::text
);

COPY public.dumped (id, name) FROM stdin;
1	it's
2	\N
\.

ALTER TABLE ONLY public.dumped ADD CONSTRAINT dumped_pkey PRIMARY KEY (id);

\unrestrict 3CnFZzS1c0l
"#;

const ROWS: &str = "select id || coalesce(name, '?') from dumped order by 1";

#[test]
fn a_dump_alone_in_its_folder() {
    // Another one each time, so that a template is built.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let package = Package::new(&[("migrations/structure.sql", &format!("{DUMP}-- {now}\n"))]);
    let outcome =
        Rerun::test(ANSWERS).package(&package).statements(&[TABLES, ROWS, "show timezone", "show search_path"]).run();
    assert_eq!(outcome.passed().answers(), ["dumped", "1it's", "2?", "Asia/Kolkata", "\"$user\", public"]);
    outcome.says("ptest: skips `CREATE DATABASE app WITH TEMPLATE = template0 ENCODING = 'UTF8'` at line 12 of ");
    outcome.says("ptest: skips `\\connect app` at line 16 of ");
    assert_eq!(ask(&Package::new(&[]), &["select datname from pg_database where datname = 'app'"]), [""; 0]);
}

#[test]
fn a_file_of_any_name() {
    let package = Package::new(&[("db/dump.sql", DUMP)]);
    let outcome = Rerun::test("templates::dumps::inner::of_a_file").package(&package).run();
    assert_eq!(outcome.passed().answers(), ["1it's", "2?"]);
}

/// Nobody waits for the other to read.
#[test]
fn a_script_of_many_statements() {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let script = format!("create table many (n int); -- {now}\n{}", "select 1;\n".repeat(5000));
    assert_eq!(ask(&Package::new(&[("migrations/1.sql", &script)]), &[TABLES]), ["many"]);
}

#[test]
fn a_dump_as_a_migration_leaves_nothing_set() {
    // What sqlx itself would stumble over: an emptied search_path.
    let first = "select pg_catalog.set_config('search_path', '', false); set role pg_monitor;\nreset role;\n\
                 create table public.set_a (n int); set timezone = 'Asia/Kolkata'; set role pg_monitor;";
    let package = Package::new(&[
        ("migrations/1_a.sql", first),
        (
            "migrations/2_b.sql",
            "create table set_b as select current_setting('timezone') as zone, current_user::text as name;",
        ),
    ]);
    let found = ask(
        &package,
        &["select zone || ' ' || (name = session_user) from set_b", "select count(*) from _sqlx_migrations"],
    );
    assert_eq!(found, ["UTC true", "2"]);
}

#[test]
fn a_row_that_fails_is_shown() {
    let dump = "create table dumped (id int);\n\ncopy dumped from stdin;\n1\nnone\n\\.\n";
    fails(dump, &["schema.sql fails at line 5", "    5 | none", "invalid input syntax for type integer"]);
}

#[test]
fn a_command_of_psql_is_refused_by_name() {
    let words =
        ["schema.sql fails at line 2", "    2 | \\i more.sql", "`\\i` is a command of psql that ptest does not run"];
    fails("create table dumped ();\n\\i more.sql\n", &words);
}

#[test]
fn what_is_missing_is_told() {
    fails("set transaction_timeout_of_19 = 0;", &["SQLSTATE 42704", "has no setting `transaction_timeout_of_19`"]);
    fails("create table dumped (name citext);", &["SQLSTATE 42704", "`citext` comes with the extension `citext`"]);
    fails("create extension made_up_one;", &["have to be installed on the server"]);
    fails(
        "create table dumped ();\nalter table dumped owner to nobody_there;",
        &["line 2", "roles belong to the whole server"],
    );
}

/// The test of a package with this script fails with these words.
#[track_caller]
fn fails(script: &str, says: &[&str]) {
    let package = Package::new(&[("migrations/schema.sql", script)]);
    let outcome = Rerun::test(ANSWERS).package(&package).statements(&["select 1"]).run();
    says.iter().fold(outcome.failed(), |outcome, word| outcome.says(word));
}

mod inner {
    use sqlx::PgPool;

    use super::ROWS;

    #[ptest::db_test(migrations = "db/dump.sql")]
    #[ignore = "run by another test"]
    async fn of_a_file(pool: PgPool) -> sqlx::Result<()> {
        for row in sqlx::query_scalar::<_, String>(ROWS).fetch_all(&pool).await? {
            println!("answer: {row}");
        }
        Ok(())
    }
}

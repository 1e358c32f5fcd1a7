//! Migrations that cannot be applied: the error says where, and nothing is left on the server.

use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun, ask};

const BROKEN: &str = "create table first ();\n\ncreate table second (\n    id no_such_type\n);\n";

/// The test of a package fails with these words, and the server has no database of its schema.
#[track_caller]
fn fails(files: &[(&str, &str)], says: &[&str]) {
    let package = Package::new(files);
    // Twice: the first leaves nothing that would change the second.
    for _ in 0..2 {
        let outcome = Rerun::test(ANSWERS).package(&package).statements(&["select 'the body runs'"]).run();
        outcome.failed().never_says("the body runs").never_says("built the template");
        for part in says {
            outcome.says(part);
        }
        let template = outcome.lines("cannot migrate the template `");
        let Some((fingerprint, _)) = template.first().and_then(|line| line.split_once("_template")) else { continue };
        let like = format!("select datname from pg_database where datname like '{fingerprint}%'");
        assert_eq!(ask(&Package::new(&[]), &[&like]), [""; 0], "{outcome}");
    }
}

#[test]
fn sqlx() {
    let path = "/migrations/2_broken.sql fails at line 4";
    fails(
        &[("migrations/1_a.sql", "create table a ();"), ("migrations/2_broken.sql", BROKEN)],
        &[path, "type \"no_such_type\" does not exist (SQLSTATE 42704)"],
    );
}

#[test]
fn sqlx_without_a_position() {
    let sql =
        "create table a (id int primary key);\ninsert into a values (1);\n\n-- again\ninsert into a\nvalues (1);\n";
    fails(&[("migrations/1_twice.sql", sql)], &["/migrations/1_twice.sql fails at line 5", "(SQLSTATE 23505)"]);
}

#[test]
fn sqlx_in_a_function() {
    let sql = "select 1;\ndo $$\nbegin\n  raise exception 'not on a %', 'monday' using errcode = 'MO001', hint = 'wait';\nend $$;\n";
    fails(
        &[("migrations/1_do.sql", sql)],
        &["1_do.sql fails at line 2", "not on a monday (SQLSTATE MO001)", "hint: wait"],
    );
}

#[test]
fn sqlx_outside_of_a_transaction() {
    let sql = "-- no-transaction\ncreate table a (id int);\n";
    let broken = "-- no-transaction\n\ncreate index concurrently on b (id);\n";
    fails(
        &[("migrations/1_a.sql", sql), ("migrations/2_b.sql", broken)],
        &["2_b.sql fails at line 3", "SQLSTATE 42P01"],
    );
}

#[test]
fn sqlx_with_broken_syntax() {
    fails(&[("migrations/1_a.sql", "create table a ();\ncreat table b ();")], &["1_a.sql fails at line 2", "42601"]);
}

#[test]
fn diesel() {
    fails(&[("migrations/1_a/up.sql", BROKEN)], &["/migrations/1_a/up.sql fails at line 4", "SQLSTATE 42704"]);
}

#[test]
fn refinery() {
    fails(&[("migrations/V1__a.sql", BROKEN)], &["/migrations/V1__a.sql fails at line 4", "SQLSTATE 42704"]);
}

#[test]
fn dbmate() {
    let broken = format!("-- migrate:up\n{BROKEN}\n-- migrate:down\n");
    fails(&[("migrations/1_a.sql", &broken)], &["/migrations/1_a.sql fails at line 5", "SQLSTATE 42704"]);
    let way_up = ("migrations/1_a.sql", "-- migrate:up\nselect 1;");
    fails(
        &[way_up, ("migrations/2_b.sql", "select 2;")],
        &["no line `-- migrate:up` in `", "/2_b.sql`", "help: add the line"],
    );
    let late = ("migrations/2_b.sql", "select 2;\n-- migrate:up\n");
    fails(&[way_up, late], &["statements before the line `-- migrate:up` in `", "/2_b.sql`", "help: move them below"]);
}

#[test]
fn numbered_files() {
    fails(&[("migrations/1.sql", BROKEN)], &["/migrations/1.sql fails at line 4", "SQLSTATE 42704"]);
    fails(
        &[("migrations/1.sql", ""), ("migrations/2_b.sql", "")],
        &["mixes migrations of numbered files (`1.sql`) and of sqlx"],
    );
}

#[test]
fn objects_of_the_whole_server() {
    let sql = "create role ptest_it_twice;\ncreate role ptest_it_twice;";
    fails(
        &[("migrations/1_role.sql", sql)],
        &["1_role.sql fails at line 2", "SQLSTATE 42710", "help: roles and tablespaces"],
    );
}

#[test]
fn a_migration_that_ends_its_backend() {
    let sql = "select pg_terminate_backend(pg_backend_pid());";
    fails(&[("migrations/1_end.sql", sql)], &["cannot migrate the template"]);
}

#[test]
fn two_equal_versions() {
    fails(
        &[("migrations/1_a.sql", "select 1"), ("migrations/01_b.sql", "select 1")],
        &["two migrations with the version", "`01_b.sql` and `1_a.sql`", "help: give one of them"],
    );
}

#[test]
fn an_empty_folder() {
    fails(&[("migrations/notes.txt", "")], &["no migration in the folder", "holds `notes.txt`", "help: name them"]);
}

#[test]
fn a_missing_folder() {
    let toml = "[migrate]\nmigrations-dir = \"db\"\n";
    fails(&[("sqlx.toml", toml)], &["/db` does not exist", "help: `migrations-dir` in `sqlx.toml` names it"]);
}

#[test]
fn what_only_psql_understands() {
    let rows = "create table a (n int);\ncopy a from stdin;\n1\n\\.\n";
    fails(&[("migrations/1_a.sql", rows)], &["1_a.sql fails at line 3", "syntax error at or near \"1\""]);
    fails(&[("migrations/1_a.sql", "create table a (n int);\ncopy a from stdin;")], &["only psql sends the rows"]);
    fails(&[("migrations/1_a.sql", "\\restrict abc\nselect 1;")], &["1_a.sql fails at line 1", "is a command of psql"]);
}

#[test]
fn a_statement_that_must_be_alone() {
    let alone = "create table a (n int);\ncreate index concurrently on a (n);";
    fails(&[("migrations/1_a.sql", alone)], &["SQLSTATE 25001", "help: the tool runs this file in a transaction"]);
    let first = format!("-- no-transaction\n{alone}");
    fails(&[("migrations/1_a.sql", &first)], &["SQLSTATE 25001", "help: the tool sends this file as one string"]);
}

#[test]
fn a_deferred_constraint() {
    let sql = "create table a (n int primary key, m int references a deferrable initially deferred);\n\ninsert into a values (1, 2);\n";
    fails(&[("migrations/1_a.sql", sql)], &["1_a.sql fails at line 3", "SQLSTATE 23503"]);
}

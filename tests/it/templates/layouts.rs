//! Migrations in the layouts of sqlx, diesel, refinery and dbmate, each with its tool's own table, and numbered files.

use super::TABLES;
use crate::package::Package;
use crate::rerun::ask;

#[test]
fn sqlx_with_ways_back() {
    let package = Package::new(&[
        ("migrations/10_b.up.sql", "alter table layout_a add n int;"),
        ("migrations/10_b.down.sql", "this is no sql"),
        ("migrations/9_a.up.sql", "create table layout_a ();"),
        ("migrations/9_a.down.sql", "nor this"),
        ("migrations/README.md", "about them"),
    ]);
    let found =
        ask(&package, &["insert into layout_a values (1)", TABLES, "select version from _sqlx_migrations order by 1"]);
    assert_eq!(found, ["_sqlx_migrations", "layout_a", "9", "10"]);
}

#[test]
fn sqlx_outside_of_a_transaction() {
    let package = Package::new(&[
        ("migrations/1_a.sql", "create table layout_b (id int);"),
        ("migrations/2_b.sql", "-- no-transaction\ncreate index concurrently layout_b_id on layout_b (id);"),
    ]);
    assert_eq!(ask(&package, &["select indexdef from pg_indexes where tablename = 'layout_b'"]).len(), 1);
}

#[test]
fn the_settings_of_sqlx() {
    let package = Package::new(&[
        (
            "sqlx.toml",
            "[migrate]\nmigrations-dir = \"db\"\ntable-name = \"extra.done\"\ncreate-schemas = [\"extra\"]\n",
        ),
        ("db/1_a.sql", "create table extra.layout_c ();"),
        ("migrations/1_a.sql", "this is no sql"),
    ]);
    let tables =
        "select oid::regclass from pg_class where relnamespace = 'extra'::regnamespace and relkind = 'r' order by 1";
    assert_eq!(ask(&package, &[tables, "select description from extra.done"]), ["extra.done", "extra.layout_c", "a"]);
}

#[test]
fn diesel() {
    let package = Package::new(&[
        (
            "migrations/00000000000000_diesel_initial_setup/up.sql",
            "create function f() returns int language sql as 'select 1';",
        ),
        ("migrations/00000000000000_diesel_initial_setup/down.sql", "this is no sql"),
        ("migrations/2024-01-31-120000_a/up.sql", "create table layout_d (n int default f());"),
        ("migrations/2024-02-01-120000_b/up.sql", "create index concurrently on layout_d (n); vacuum layout_d;"),
        ("migrations/2024-02-01-120000_b/metadata.toml", "run_in_transaction = false"),
    ]);
    let found = ask(&package, &[TABLES, "select version from __diesel_schema_migrations order by 1"]);
    assert_eq!(found, ["__diesel_schema_migrations", "layout_d", "00000000000000", "20240131120000", "20240201120000"]);
}

#[test]
fn refinery() {
    let package = Package::new(&[
        ("migrations/V10__b.sql", "alter table layout_e add n int;"),
        ("migrations/V9__a.sql", "create table layout_e ();"),
        ("migrations/U11__c.sql", "alter table layout_e add m int;"),
    ]);
    let found = ask(&package, &["insert into layout_e values (1, 2) returning n + m", TABLES]);
    assert_eq!(found, ["3", "layout_e", "refinery_schema_history"]);
    let history =
        "select version || ' ' || name || ' ' || (applied_on::timestamptz <= now()) from refinery_schema_history";
    assert_eq!(ask(&package, &[history]), ["9 a true", "10 b true", "11 c true"]);
}

#[test]
fn dbmate() {
    let package = Package::new(&[
        (
            "migrations/20240131120000_a.sql",
            "-- migrate:up\ncreate table layout_f ();\n\n-- migrate:down\nthis is no sql",
        ),
        ("migrations/20240201120000_b.sql", "-- migrate:up transaction:false\nvacuum layout_f; vacuum layout_f;"),
    ]);
    let found = ask(&package, &[TABLES, "select version from schema_migrations order by 1"]);
    assert_eq!(found, ["layout_f", "schema_migrations", "20240131120000", "20240201120000"]);
}

#[test]
fn numbered_files() {
    let package = Package::new(&[
        ("migrations/10-b.sql", "alter table layout_g add n int;"),
        ("migrations/9 a_table.sql", "create table layout_g ();"),
        ("migrations/11.sql", "insert into layout_g values (1);"),
        ("migrations/README.md", "about them"),
    ]);
    assert_eq!(ask(&package, &["select n from layout_g", TABLES]), ["1", "layout_g"]);
}

//! Migrations in the layouts of all tools, each with its tool's own table, and numbered files.

use super::TABLES;
use crate::package::Package;
use crate::rerun::{Rerun, ask};

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
        ("migrations/2024-02-01-120000_b/up.sql", "create index concurrently on layout_d (n);"),
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
        ("migrations/20240201120000_b.sql", "-- migrate:up transaction:false\nvacuum layout_f;"),
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

#[test]
fn goose() {
    let package = Package::new(&[
        (
            "migrations/00002_f.sql",
            "-- +goose Up\n-- +goose StatementBegin\ncreate function layout_h_f() returns int language plpgsql as $$\n\
             begin\n  return 7;\nend $$;\n-- +goose StatementEnd\n\n-- +goose Down\ndrop function layout_h_f;\n",
        ),
        (
            "migrations/00001_a.sql",
            "-- +goose Up\ncreate table layout_h (n int);\n\n-- +goose Down\ndrop table layout_h;\n",
        ),
        (
            "migrations/00003_i.sql",
            "-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently on layout_h (n);\nvacuum layout_h;\n\
             -- +goose Down\nthis is no sql\n",
        ),
        ("migrations/embed.go", "package migrations"),
    ]);
    let history =
        "select version_id from goose_db_version where is_applied and tstamp <= now() at time zone 'utc' order by id";
    let found = ask(
        &package,
        &[TABLES, "select layout_h_f()", "select count(*) from pg_indexes where tablename = 'layout_h'", history],
    );
    assert_eq!(found, ["goose_db_version", "layout_h", "7", "1", "0", "1", "2", "3"]);
}

#[test]
fn sql_migrate() {
    let package = Package::new(&[
        (
            "migrations/20240101000000-a.sql",
            "-- +migrate Up\ncreate table layout_i (n int);\n-- +migrate Down\ndrop table layout_i;\n",
        ),
        (
            "migrations/20240102000000-b.sql",
            "-- +migrate Up notransaction\ncreate index concurrently on layout_i (n);\nvacuum layout_i;\n-- +migrate Down\n",
        ),
    ]);
    let history = "select id || ' ' || (applied_at <= now()) from gorp_migrations order by 1";
    let found = ask(&package, &[TABLES, history]);
    assert_eq!(found, ["gorp_migrations", "layout_i", "20240101000000-a.sql true", "20240102000000-b.sql true"]);
}

#[test]
fn flyway() {
    let package = Package::new(&[
        ("migrations/V2__b.sql", "create index concurrently on layout_j (n);"),
        ("migrations/V1.5__a.sql", "create table layout_j (n int);\ncopy layout_j from stdin;\n3\n4\n\\.\n"),
        ("migrations/U1.5__a.sql", "drop table layout_j;"),
        ("migrations/R__view.sql", "create or replace view layout_j_sum as select sum(n) from layout_j;"),
    ]);
    assert_eq!(ask(&package, &[TABLES, "select sum from layout_j_sum"]), ["layout_j", "7"]);
}

#[test]
fn golang_migrate() {
    let package = Package::new(&[
        ("sqlx.toml", "[migrate]\nmigrations-dir = \"nowhere\"\n"),
        ("db/000001_a.up.sql", "create table layout_k (n int);"),
        ("db/000001_a.down.sql", "drop table layout_k;"),
        ("db/000002_b.up.sql", "create index concurrently on layout_k (n);"),
    ]);
    let found = Rerun::test("templates::layouts::inner::of_golang_migrate").package(&package).run();
    assert_eq!(found.passed().answers(), ["layout_k schema_migrations", "2 false"]);
}

#[test]
fn prisma() {
    let package = Package::new(&[
        ("migrations/20240102000000_b/migration.sql", "create index concurrently on layout_l (n);"),
        ("migrations/20240101000000_a/migration.sql", "create table layout_l (n int);"),
        ("migrations/migration_lock.toml", "provider = \"postgresql\""),
    ]);
    // As `sha256sum` has it.
    let checksum = "select migration_name || ' ' || left(checksum, 8) || ' ' || length(id) || ' ' || applied_steps_count \
                    from _prisma_migrations where finished_at <= now() order by 1";
    let found = ask(&package, &[TABLES, checksum]);
    let expected =
        ["_prisma_migrations", "layout_l", "20240101000000_a 86b9792b 36 1", "20240102000000_b 20680967 36 1"];
    assert_eq!(found, expected);
}

#[test]
fn atlas() {
    let package = Package::new(&[
        ("migrations/20240101000000_a.sql", "create table layout_m (n int);"),
        (
            "migrations/20240102000000.sql",
            "-- atlas:txmode none\n\ncreate index concurrently on layout_m (n);\nvacuum layout_m;",
        ),
        ("migrations/atlas.sum", "h1:abc="),
    ]);
    assert_eq!(
        ask(&package, &[TABLES, "select count(*) from pg_indexes where tablename = 'layout_m'"]),
        ["layout_m", "1"]
    );
}

mod inner {
    use sqlx::PgPool;

    use super::TABLES;

    #[ptest::db_test(migrations = "golang-migrate:db")]
    #[ignore = "run by another test"]
    async fn of_golang_migrate(pool: PgPool) -> sqlx::Result<()> {
        let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&pool).await?;
        println!("answer: {}", tables.join(" "));
        let state = "select version || ' ' || dirty from schema_migrations";
        println!("answer: {}", sqlx::query_scalar::<_, String>(state).fetch_one(&pool).await?);
        Ok(())
    }
}

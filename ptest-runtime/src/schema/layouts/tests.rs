//! Whose a folder is, and what is refused.

use std::fs;

use super::*;
use crate::schema::settings::SqlxSettings;

/// The tool of a folder with these files, and what it runs, in order; or the error.
fn found_in(tool: Option<&str>, files: &[(&str, &str)]) -> String {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let folder = Folder { path: root.path().to_owned(), tool: tool.map(str::to_owned), sqlx: SqlxSettings::default() };
    match read(&folder) {
        Ok(set) => {
            let names = set.migrations.iter().map(|m| m.path.strip_prefix(root.path()).unwrap().display().to_string());
            format!("{}: {}", set.layout.tool(), names.collect::<Vec<_>>().join(", "))
        }
        Err(error) => error.to_string().replace(root.path().to_str().unwrap(), "DIR"),
    }
}

fn found(files: &[(&str, &str)]) -> String {
    found_in(None, files)
}

const GOOSE: &str = "-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;";
const SQL_MIGRATE: &str = "-- +migrate Up\nselect 1;\n-- +migrate Down\nselect 2;";
const DBMATE: &str = "-- migrate:up\nselect 1;\n-- migrate:down\nselect 2;";

#[test]
fn what_stands_in_the_files_tells_the_tool() {
    assert_eq!(found(&[("10_b.sql", GOOSE), ("9_a.sql", GOOSE), ("embed.go", "")]), "goose: 9_a.sql, 10_b.sql");
    assert_eq!(found(&[("10-b.sql", SQL_MIGRATE), ("9_a.sql", SQL_MIGRATE)]), "sql-migrate: 9_a.sql, 10-b.sql");
    assert_eq!(found(&[("10_b.sql", DBMATE), ("9_a.sql", DBMATE)]), "dbmate: 10_b.sql, 9_a.sql");
    assert_eq!(found(&[("10_b.sql", ""), ("9_a.sql", "")]), "sqlx: 9_a.sql, 10_b.sql");
}

#[test]
fn what_lies_beside_the_files_tells_the_tool() {
    assert_eq!(found(&[("2_b.sql", ""), ("1.sql", ""), ("atlas.sum", "h1:")]), "Atlas: 1.sql, 2_b.sql");
    assert_eq!(
        found(&[("2_b/migration.sql", ""), ("1_a/migration.sql", ""), ("migration_lock.toml", "")]),
        "Prisma: 1_a/migration.sql, 2_b/migration.sql"
    );
    assert_eq!(found(&[("1_a/up.sql", ""), ("1_a/down.sql", "")]), "diesel: 1_a/up.sql");
    assert_eq!(
        found(&[("V2__b.sql", ""), ("V1.5__a.sql", ""), ("R__view.sql", ""), ("U2__b.sql", "")]),
        "Flyway: V1.5__a.sql, V2__b.sql, R__view.sql"
    );
    assert_eq!(found(&[("V1__a.sql", ""), ("U1__a.sql", "")]), "Flyway: V1__a.sql");
    assert_eq!(found(&[("V1__a.sql", ""), ("U2__b.sql", "")]), "refinery: V1__a.sql, U2__b.sql");
    assert_eq!(found(&[("structure.sql", ""), ("README.md", "")]), "one script: structure.sql");
}

#[test]
fn what_stands_for_all_before_it_is_the_first() {
    let flyway = [("V1__a.sql", ""), ("V2__b.sql", ""), ("B2__base.sql", ""), ("V3__c.sql", ""), ("R__v.sql", "")];
    assert_eq!(found(&flyway), "Flyway: B2__base.sql, V3__c.sql, R__v.sql");
    let atlas = [("1_a.sql", ""), ("2_b.sql", "-- atlas:checkpoint\n\nselect 1;"), ("3_c.sql", ""), ("atlas.sum", "")];
    assert_eq!(found(&atlas), "Atlas: 2_b.sql, 3_c.sql");
}

#[test]
fn a_mixed_folder_names_both() {
    let mixes = |files: &[(&str, &str)]| found(files).replace("the folder `DIR` mixes migrations of ", "");
    assert_eq!(mixes(&[("1_a.sql", GOOSE), ("2_b.sql", DBMATE)]), "goose (`1_a.sql`) and of dbmate (`2_b.sql`)");
    assert_eq!(
        mixes(&[("1_a.sql", GOOSE), ("2_b.sql", SQL_MIGRATE)]),
        "goose (`1_a.sql`) and of sql-migrate (`2_b.sql`)"
    );
    assert_eq!(mixes(&[("1_a.sql", GOOSE), ("2_b/up.sql", "")]), "goose (`1_a.sql`) and of diesel (`2_b`)");
    assert_eq!(mixes(&[("1_a/migration.sql", ""), ("2_b.sql", "")]), "Prisma (`1_a`) and of sqlx (`2_b.sql`)");
    assert_eq!(mixes(&[("R__a.sql", ""), ("1_b.sql", "")]), "sqlx (`1_b.sql`) and of Flyway (`R__a.sql`)");
}

#[test]
fn a_file_without_its_line_is_named() {
    let lacks = |mark: &str, tool: &str| format!("no line `{mark}` in `DIR/2_b.sql`, beside migrations of {tool}");
    let plain = ("2_b.sql", "create table b ();");
    assert_eq!(found(&[("1_a.sql", GOOSE), plain]), lacks("-- +goose Up", "goose"));
    assert_eq!(found(&[("1_a.sql", SQL_MIGRATE), plain]), lacks("-- +migrate Up", "sql-migrate"));
    assert_eq!(found(&[("1_a.sql", DBMATE), plain]), lacks("-- migrate:up", "dbmate"));
}

#[test]
fn what_ptest_cannot_run_is_named() {
    assert_eq!(
        found(&[("1_a.sql", GOOSE), ("2_b.go", "")]),
        "the migration `DIR/2_b.go` is Go code, which only goose can run"
    );
    assert_eq!(
        found(&[("R__a.sql", ""), ("afterMigrate.sql", "")]),
        "`DIR/afterMigrate.sql` is a callback, which only Flyway can run"
    );
    assert_eq!(
        found(&[("1_a/migration.sql", ""), ("2_b/x", "")]),
        "no `migration.sql` in `DIR/2_b`, beside migrations of Prisma"
    );
}

#[test]
fn a_folder_can_be_said_to_be_a_tools() {
    let files = [("000002_b.up.sql", ""), ("000001_a.up.sql", ""), ("000001_a.down.sql", ""), ("1.sql", "")];
    let expected = "golang-migrate: 000001_a.up.sql, 000002_b.up.sql";
    assert_eq!(found_in(Some("golang-migrate"), &files), expected);
    assert_eq!(found_in(Some("flyway"), &[("V1__a.sql", ""), ("U2__b.sql", "")]), "Flyway: V1__a.sql");
    assert_eq!(found_in(Some("liquibase"), &files), "`liquibase` is no migration tool that ptest knows");
}

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::error::Error;
use crate::schema::layouts;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn empty_files(names: &[&str]) -> TempDir {
    folder(&names.iter().map(|name| (*name, "")).collect::<Vec<_>>())
}

/// Reads a folder that does not say whose it is.
fn read(dir: &Path) -> Result<MigrationSet, MigrationsError> {
    layouts::read(&Folder { path: dir.to_owned(), tool: None, sqlx: SqlxSettings::default() })
}

/// The tool, then versions and names in order.
fn summary(names: &[&str]) -> (&'static str, Vec<String>) {
    let root = empty_files(names);
    let set = read(root.path()).unwrap();
    (set.layout.tool(), set.migrations.iter().map(|m| format!("{} {}", m.version, m.name)).collect())
}

fn report(error: MigrationsError) -> String {
    format!("{:?}", Error::from(error))
}

/// The report for a folder with these empty files, its own path left out.
fn refusal(names: &[&str]) -> String {
    let root = empty_files(names);
    report(read(root.path()).unwrap_err()).replace(root.path().to_str().unwrap(), "DIR")
}

#[track_caller]
fn assert_says(report: &str, words: &[&str]) {
    for word in words {
        assert!(report.contains(word), "`{word}` is not in:\n{report}");
    }
}

#[test]
fn sqlx_orders_by_number() {
    let names = ["10_c.sql", "9_b.sql", "0001_a_b.sql", "-1_before.sql", "README.md", "schema.sql"];
    let expected = ["-1 before", "0001 a_b", "9 b", "10 c"];
    assert_eq!(summary(&names), ("sqlx", expected.map(str::to_owned).to_vec()));
}

#[test]
fn sqlx_runs_only_the_way_up() {
    let names = ["1_a.up.sql", "1_a.down.sql", "2_b.sql", "3_c.down.sql"];
    assert_eq!(summary(&names), ("sqlx", vec!["1 a".to_owned(), "2 b".to_owned()]));
}

#[test]
fn diesel_orders_by_text() {
    let names = [
        "2024-02-01-000000_b/up.sql",
        "2024-02-01-000000_b/down.sql",
        "00000000000000_diesel_initial_setup/up.sql",
        "20240115000000_a/up.sql",
        "9_last/up.sql",
        "10_second/up.sql",
        "notes_about_this.sql",
        ".git/config",
    ];
    let expected =
        ["00000000000000 diesel_initial_setup", "10 second", "20240115000000 a", "20240201000000 b", "9 last"];
    assert_eq!(summary(&names), ("diesel", expected.map(str::to_owned).to_vec()));
}

#[test]
fn refinery_orders_by_number() {
    let names = ["V10__c.sql", "U9__b.sql", "V1__a.sql", "mod.rs", "notes_about_this.sql", "old/readme"];
    let expected = ["1 a", "9 b", "10 c"];
    assert_eq!(summary(&names), ("refinery", expected.map(str::to_owned).to_vec()));
}

#[test]
fn texts_and_paths_are_those_of_the_files() {
    let root = folder(&[("1_a.sql", "select 'ä';\r\n"), ("2_b.sql", "")]);
    let set = read(root.path()).unwrap();
    assert_eq!(set.migrations[0].sql, "select 'ä';\r\n");
    assert_eq!(set.migrations[0].path, root.path().join("1_a.sql"));

    let root = folder(&[("1_a/up.sql", "select 1"), ("1_a/down.sql", "select 2")]);
    let set = read(root.path()).unwrap();
    assert_eq!(set.migrations[0].sql, "select 1");
    assert_eq!(set.migrations[0].path, root.path().join("1_a/up.sql"));
}

#[test]
fn links_are_followed() {
    let (root, real) = (tempfile::tempdir().unwrap(), folder(&[("x.sql", "select 1"), ("d/up.sql", "select 2")]));
    symlink(real.path().join("x.sql"), root.path().join("1_a.sql")).unwrap();
    assert_eq!(read(root.path()).unwrap().migrations[0].sql, "select 1");
    fs::remove_file(root.path().join("1_a.sql")).unwrap();
    symlink(real.path().join("d"), root.path().join("1_a")).unwrap();
    assert_eq!(read(root.path()).unwrap().migrations[0].sql, "select 2");
}

#[test]
fn a_migration_can_ask_for_no_transaction() {
    let in_transaction = |files: &[(&str, &str)]| {
        let set = read(folder(files).path()).unwrap();
        set.migrations.iter().map(|m| m.in_transaction).collect::<Vec<_>>()
    };
    let sqlx = [("1_a.sql", "-- no-transaction\nselect 1"), ("2_b.sql", "select 1; -- no-transaction")];
    assert_eq!(in_transaction(&sqlx), [false, true]);
    let refinery = [
        ("V1__a.sql", "select 1;\n-- refinery:noTransaction\n"),
        ("V2__b.sql", "--refinery:noTransaction"),
        ("V3__c.sql", "select 1; -- refinery:noTransaction"),
        ("V4__d.sql", "--  refinery:noTransaction"),
    ];
    assert_eq!(in_transaction(&refinery), [false, false, true, true]);
    let diesel = [
        ("1_a/up.sql", ""),
        ("1_a/metadata.toml", "run_in_transaction = false"),
        ("2_b/up.sql", ""),
        ("2_b/metadata.toml", "# nothing"),
        ("3_c/up.sql", ""),
    ];
    assert_eq!(in_transaction(&diesel), [false, true, true]);
}

#[test]
fn a_folder_without_migrations_says_what_it_holds() {
    assert_says(
        &refusal(&["README.md", "notes.sql"]),
        &["`DIR`", "`README.md`, `notes.sql`", "`V<version>__<name>.sql`"],
    );
    assert_says(&refusal(&[]), &["`DIR`", "is empty", "`migrations = false`"]);
    assert_says(&refusal(&["3_c.down.sql"]), &["`3_c.down.sql`"]);
    let many: Vec<_> = (0..11).map(|index| format!("{index:02}.md")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_says(&refusal(&many), &["`07.md` and 3 more"]);
}

#[test]
fn two_equal_versions_are_named() {
    assert_says(&refusal(&["1_a.sql", "001_b.sql"]), &["`DIR`", "`1_a.sql`", "`001_b.sql`", "a version of its own"]);
    assert_says(&refusal(&["1_a.sql", "1_a.up.sql"]), &["`1_a.sql`", "`1_a.up.sql`"]);
    assert_says(&refusal(&["V1__a.sql", "V01__b.sql"]), &["`V1__a.sql`", "`V01__b.sql`"]);
    assert_says(
        &refusal(&["2024-01-31-000000_a/up.sql", "20240131000000_b/up.sql"]),
        &["20240131000000", "`2024-01-31-000000_a`", "`20240131000000_b`"],
    );
}

#[test]
fn a_wrong_version_is_named() {
    assert_says(&refusal(&["1_a.sql", "two_b.sql"]), &["`DIR/two_b.sql`", "sqlx", "`<version>_<name>.sql`"]);
    assert_says(&refusal(&["99999999999999999999_a.sql"]), &["`DIR/99999999999999999999_a.sql`"]);
    assert_says(&refusal(&["V1__a.sql", "V2_b.sql"]), &["`DIR/V2_b.sql`", "refinery", "`V<version>__<name>.sql`"]);
    assert_says(&refusal(&["V1_a.sql"]), &["`DIR/V1_a.sql`", "whole number"]);
}

#[test]
fn mixed_layouts_are_named() {
    assert_says(&refusal(&["1_a.sql", "V2__b.sql"]), &["`DIR`", "sqlx (`1_a.sql`)", "refinery (`V2__b.sql`)"]);
    assert_says(&refusal(&["1_a.sql", "2_b/up.sql"]), &["sqlx (`1_a.sql`)", "diesel (`2_b`)"]);
}

#[test]
fn what_would_be_left_out_is_an_error() {
    assert_says(&refusal(&["V1__a.sql", "V2__b.rs"]), &["`DIR/V2__b.rs`", "Rust code", "setup"]);
    assert_says(&refusal(&["V2__b.rs"]), &["`DIR/V2__b.rs`"]);
    assert_says(&refusal(&["V1__a.sql", "later/V2__b.sql"]), &["`DIR/later`"]);
    assert_says(&refusal(&["1_a/up.sql", "2_b/down.sql"]), &["`DIR/2_b`", "up.sql"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let root = folder(&[("1_a.sql", "")]);
    fs::write(root.path().join("2_b.sql"), b"select 1;\nselect '\xff';").unwrap();
    assert_says(&report(read(root.path()).unwrap_err()), &["line 2", "2_b.sql", "UTF-8"]);

    let root = folder(&[("1_a.sql", "")]);
    symlink("nowhere", root.path().join("2_b.sql")).unwrap();
    assert_says(&report(read(root.path()).unwrap_err()), &["2_b.sql", "No such file"]);

    let root = folder(&[("1_a/up.sql", ""), ("1_a/metadata.toml", "run_in_transaction = 1")]);
    assert_says(&report(read(root.path()).unwrap_err()), &["metadata.toml", "`true` or `false`"]);

    let missing = root.path().join("missing");
    assert_says(&report(read(&missing).unwrap_err()), &["missing", "No such file"]);
}

#[test]
fn the_folder_of_a_test_is_found() {
    let root = empty_files(&["app/migrations/1_a.sql", "app/other/1_a.sql", "db/1_a.sql", "bare/migrations"]);
    let found = |package: &str, migrations| {
        let folder = locate_in(&root.path().join(package), migrations).unwrap()?;
        Some(folder.path.strip_prefix(root.path()).unwrap().display().to_string())
    };
    assert_eq!(found("app", Migrations::Default).as_deref(), Some("app/migrations"));
    assert_eq!(found("app", Migrations::Dir("other")).as_deref(), Some("app/other"));
    assert_eq!(found("app", Migrations::Dir("../db")).as_deref(), Some("app/../db"));
    assert_eq!(found("app", Migrations::None), None);
    assert_eq!(found("bare", Migrations::Default), None);
}

#[test]
fn a_missing_folder_says_who_named_it() {
    let package = empty_files(&["migrations/1_a.sql"]);
    let error = locate_in(package.path(), Migrations::Dir("db")).unwrap_err();
    assert_says(&report(error), &["/db` does not exist", "the argument `migrations`", "`migrations = false`"]);

    fs::write(package.path().join("sqlx.toml"), "[migrate]\nmigrations-dir = 'db'").unwrap();
    let error = locate_in(package.path(), Migrations::Default).unwrap_err();
    assert_says(&report(error), &["/db` does not exist", "`migrations-dir` in `sqlx.toml`"]);
}

#[test]
fn sqlx_toml_names_the_folder_and_the_settings() {
    let toml = r#"
        [common]
        database-url-var = "X"
        [migrate]
        migrations-dir = "db/migrations"
        table-name = "meta.done"
        create-schemas = ["b", "a", "b"]
        ignored-chars = ["\r", "\uFEFF", " "]
        [migrate.defaults]
        migration-type = "reversible"
    "#;
    let package = folder(&[("sqlx.toml", toml), ("db/migrations/1_a.sql", ""), ("other/1_a.sql", "")]);
    let settings = || SqlxSettings {
        table_name: Some("meta.done".to_owned()),
        create_schemas: vec!["a".to_owned(), "b".to_owned()],
        ignored_chars: vec!['\r', ' ', '\u{feff}'],
    };
    let found = |migrations| locate_in(package.path(), migrations).unwrap();
    let default = Folder { path: package.path().join("db/migrations"), tool: None, sqlx: settings() };
    assert_eq!(found(Migrations::Default), Some(default));
    // The settings are for any folder, as in sqlx.
    let other = Folder { path: package.path().join("other"), tool: None, sqlx: settings() };
    assert_eq!(found(Migrations::Dir("other")), Some(other));
    assert_eq!(found(Migrations::None), None);
}

#[test]
fn a_wrong_sqlx_toml_is_named() {
    let refusal = |toml: &str| {
        let package = folder(&[("sqlx.toml", toml), ("migrations/1_a.sql", "")]);
        report(locate_in(package.path(), Migrations::Default).unwrap_err())
    };
    assert_says(&refusal("[migrate\n"), &["cannot parse", "sqlx.toml", "line 1"]);
    assert_says(&refusal("migrate = 1"), &["`migrate` in", "sqlx.toml", "a table"]);
    assert_says(&refusal("[migrate]\nmigrations-dir = 1"), &["`migrate.migrations-dir`", "a string"]);
    assert_says(&refusal("[migrate]\ntable-name = []"), &["`migrate.table-name`", "a string"]);
    assert_says(&refusal("[migrate]\ncreate-schemas = 'a'"), &["`migrate.create-schemas`", "an array of strings"]);
    assert_says(&refusal("[migrate]\nignored-chars = ['ab']"), &["`migrate.ignored-chars`", "one character"]);
    assert_says(&refusal("[migrate]\nignored-chars = ['']"), &["`migrate.ignored-chars`", "one character"]);
    assert_says(&refusal("[migrate]\nmigration-dir = 'db'"), &["`migrate.migration-dir`", "`migrations-dir`"]);
}

/// The same folder through sqlx's own reader.
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
#[test]
fn sqlx_reads_the_same() {
    use sqlx::migrate::Migrator;

    let root = folder(&[
        ("10_c_d.sql", "select 10"),
        ("0009_b.up.sql", "-- no-transaction\nselect 9"),
        ("0009_b.down.sql", "select -9"),
        ("-1_a.sql", "select -1"),
        ("+3_a.b.sql", "select 3"),
        ("README.md", ""),
        ("notes.sql", ""),
        ("inner/7_x.sql", ""),
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let migrator = runtime.block_on(Migrator::new(root.path())).unwrap();
    let theirs: Vec<_> = migrator
        .iter()
        .filter(|m| m.migration_type.is_up_migration())
        .map(|m| (m.version, m.description.to_string(), m.sql.as_str().to_owned(), !m.no_tx))
        .collect();
    let ours: Vec<_> = read(root.path())
        .unwrap()
        .migrations
        .into_iter()
        .map(|m| (m.version.parse().unwrap(), m.name.replace('_', " "), m.sql, m.in_transaction))
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 4);

    for name in ["two_x.sql", "_x.sql", "1.5_x.sql", "99999999999999999999_x.sql"] {
        fs::write(root.path().join(name), "").unwrap();
        assert!(runtime.block_on(Migrator::new(root.path())).is_err() && read(root.path()).is_err(), "{name}");
        fs::remove_file(root.path().join(name)).unwrap();
    }
}

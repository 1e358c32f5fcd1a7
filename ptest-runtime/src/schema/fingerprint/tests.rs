use std::fs;

use tempfile::TempDir;

use super::*;
use crate::schema::settings::SqlxSettings;

fn of(parts: &[&str]) -> Fingerprint {
    let mut all = Parts::new("parts");
    parts.iter().for_each(|part| all.add(part.as_bytes()));
    all.fingerprint()
}

fn folder(files: &[(&str, &str)]) -> (TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let path = root.path().to_owned();
    (root, Folder { path, tool: None, sqlx: SqlxSettings::default() })
}

fn of_files(files: &[(&str, &str)]) -> Fingerprint {
    let (_root, folder) = folder(files);
    let target = tempfile::tempdir().unwrap();
    let fingerprint = Fingerprint::of_folder(&folder, target.path()).unwrap();
    assert_eq!(Fingerprint::of_set(&migrations::read(&folder).unwrap(), &folder), fingerprint);
    fingerprint
}

#[track_caller]
fn assert_all_differ(fingerprints: &[Fingerprint]) {
    for (index, fingerprint) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..index].contains(fingerprint), "{index} is as another one");
    }
}

/// Templates of earlier runs are found by it: another value means another LAYOUT_VERSION, or a mistake.
#[test]
fn it_is_the_same_for_ever() {
    assert_eq!(of(&["a", "b"]).as_str(), "ae799f7974033907");
    assert_eq!(of_files(&[("1_a.sql", "select 1"), ("2_b.sql", "select 2")]).as_str(), "b6f8311c8eee3475");
}

#[test]
fn it_is_sixteen_hexadecimal_digits() {
    let fingerprint = of(&[]);
    assert_eq!(Fingerprint::parse(fingerprint.as_str().as_bytes()), Some(fingerprint.clone()));
    assert_eq!(fingerprint.to_string(), fingerprint.as_str());
    for text in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"] {
        assert_eq!(Fingerprint::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn parts_have_borders_and_an_order() {
    assert_all_differ(&[
        of(&[]),
        of(&[""]),
        of(&["", ""]),
        of(&["ab"]),
        of(&["a", "b"]),
        of(&["b", "a"]),
        of(&["ab", ""]),
    ]);
    assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
}

#[test]
fn what_is_beneath_and_whose_it_is_count() {
    let over = |beneath: Option<&Fingerprint>| Fingerprint::of_step(beneath, &crate::schema::step::Empty);
    let (a, b) = (of(&["a"]), of(&["b"]));
    assert_all_differ(&[over(None), over(Some(&a)), over(Some(&b)), a.clone(), a.for_user("ada"), a.for_user("bob")]);
}

#[test]
fn names_contents_and_layout_count() {
    assert_all_differ(&[
        of_files(&[("1_a.sql", "select 1")]),
        of_files(&[("1_a.sql", "select 2")]),
        of_files(&[("1_a.sql", "select 1"), ("2_b.sql", "")]),
        of_files(&[("2_a.sql", "select 1")]),
        of_files(&[("1_b.sql", "select 1")]),
        of_files(&[("1_a.up.sql", "select 1")]),
        of_files(&[("V1__a.sql", "select 1")]),
        of_files(&[("1_a/up.sql", "select 1")]),
        of_files(&[("1_a/up.sql", "select 1"), ("1_a/metadata.toml", "run_in_transaction = false")]),
    ]);
}

#[test]
fn the_place_and_what_is_not_run_do_not_count() {
    let one = of_files(&[("1_a.up.sql", "select 1")]);
    assert_eq!(one, of_files(&[("1_a.up.sql", "select 1"), ("1_a.down.sql", "select 2"), ("README.md", "hello")]));
    let one = of_files(&[("1_a/up.sql", "select 1")]);
    assert_eq!(one, of_files(&[("1_a/up.sql", "select 1"), ("1_a/down.sql", "select 2"), (".keep", "")]));
}

#[test]
fn settings_of_sqlx_count() {
    let (_root, mut folder) = folder(&[("1_a.sql", "select 1")]);
    let target = tempfile::tempdir().unwrap();
    let mut with = |sqlx| {
        folder.sqlx = sqlx;
        Fingerprint::of_folder(&folder, target.path()).unwrap()
    };
    let table = |name: &str| SqlxSettings { table_name: Some(name.to_owned()), ..Default::default() };
    let schemas = |names: &[&str]| {
        let create_schemas = names.iter().map(|&name| name.to_owned()).collect();
        SqlxSettings { create_schemas, ..Default::default() }
    };
    assert_all_differ(&[
        with(SqlxSettings::default()),
        with(table("")),
        with(table("a")),
        with(schemas(&["a"])),
        with(schemas(&["a", "b"])),
        with(SqlxSettings { ignored_chars: vec!['a'], ..Default::default() }),
    ]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let (_root, folder) = folder(&[("README.md", "")]);
    let target = tempfile::tempdir().unwrap();
    assert!(Fingerprint::of_folder(&folder, target.path()).is_err());
}

#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
mod migrator {
    use std::borrow::Cow;

    use sqlx::SqlSafeStr;
    use sqlx::migrate::{Migration, MigrationType, Migrator};

    use super::*;
    use crate::spec::AnyMigrator;

    fn migration(version: i64, kind: MigrationType, sql: &'static str) -> Migration {
        Migration::new(version, Cow::Borrowed("a"), kind, sql.into_sql_str(), false)
    }

    fn of_migrator(migrator: Migrator) -> Fingerprint {
        let migrator: &'static dyn AnyMigrator = Box::leak(Box::new(migrator));
        Fingerprint::of_step(None, &migrator)
    }

    fn migrator(migrations: Vec<Migration>) -> Migrator {
        Migrator::with_migrations(migrations)
    }

    #[test]
    fn what_it_runs_counts() {
        use MigrationType::{ReversibleDown, ReversibleUp, Simple};
        let of = |migrations| of_migrator(migrator(migrations));
        let one = || migration(1, Simple, "select 1");
        let mut no_tx = one();
        no_tx.no_tx = true;
        let mut same_checksum = migration(1, Simple, "select  1");
        same_checksum.checksum = one().checksum;
        let mut table = migrator(vec![one()]);
        table.dangerous_set_table_name("other");
        let mut schema = migrator(vec![one()]);
        schema.create_schema("a");
        assert_all_differ(&[
            of(vec![]),
            of(vec![one()]),
            of(vec![migration(2, Simple, "select 1")]),
            of(vec![migration(1, Simple, "select 2")]),
            of(vec![one(), migration(2, Simple, "select 2")]),
            of(vec![no_tx]),
            of(vec![same_checksum]),
            of_migrator(table),
            of_migrator(schema),
        ]);
        let down = migration(1, ReversibleDown, "select 2");
        assert_eq!(of(vec![migration(1, ReversibleUp, "select 1"), down]), of(vec![one()]));
    }
}

//! Templates from migrations that work, and from those that do not.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Executor, SqlSafeStr};

use super::{Project, USERS, insert, names, open, runtime};
use crate::spec::{Migrations, TestSpec};

/// Every file that a project's tests have left, but for the lock of its builds.
fn files(project: &Project) -> Vec<String> {
    let mut names: Vec<String> =
        project.sqlite_dir().read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "build.lock");
    names
}

#[test]
fn migrations_are_applied_once_with_sqlxs_own_table() {
    let project = Project::new(&[
        USERS,
        ("2_admin.up.sql", "insert into users (name) values ('admin')"),
        ("2_admin.down.sql", "delete from users"),
    ]);
    let versions: Vec<i64> = project.pass(async |test| {
        let pool = test.pool().await.unwrap();
        assert_eq!(names(&mut pool.acquire().await.unwrap()).await, ["admin"]);
        // The application's own start-up finds nothing to do.
        let migrator = Migrator::new(project.folder.path().join("migrations")).await.unwrap();
        migrator.run(&pool).await.unwrap();
        sqlx::query_scalar("select version from _sqlx_migrations").fetch_all(&pool).await.unwrap()
    });
    assert_eq!(versions, [1, 2]);
}

#[test]
fn another_migration_makes_another_template() {
    let mut project = Project::new(&[USERS]);
    project.pass(async |test| insert(&test.pool().await.unwrap(), "old").await.unwrap());
    project.write("2_more.sql", "create table more (x)");
    project.pass(async |test| {
        let pool = test.pool().await.unwrap();
        pool.execute("insert into more values (1)").await.unwrap();
        assert_eq!(names(&mut pool.acquire().await.unwrap()).await, [] as [&str; 0]);
    });
    assert_eq!(files(&project).len(), 2);
}

#[test]
fn a_migration_that_chooses_wal_leaves_one_file() {
    let project =
        Project::new(&[USERS, ("2_wal.sql", "-- no-transaction\npragma journal_mode = wal; create table t (x)")]);
    project.assert_clean();
    let [fingerprint] = &files(&project)[..] else { panic!("{:?}", files(&project)) };
    let folder = project.sqlite_dir().join(fingerprint);
    assert!(folder.join("template.sqlite").exists());
    assert!(!folder.join("template.sqlite-wal").exists());
}

#[test]
fn a_failed_migration_is_named_with_its_line_and_leaves_nothing() {
    let mut project = Project::new(&[
        USERS,
        ("2_posts.sql", "create table posts (x);\n\n-- the mistake\ncreate tabel comments (x);\ncreate table t (x);"),
    ]);
    for _ in 0..2 {
        let report = format!("{:?}", project.open_error());
        assert!(report.starts_with("cannot migrate the SQLite template\n"), "{report}");
        assert!(report.contains("/migrations/2_posts.sql fails at line 4\n"), "{report}");
        assert!(report.contains("    4 | create tabel comments (x);\n"), "{report}");
        assert!(report.contains(r#"near "tabel": syntax error"#), "{report}");
        assert_eq!(files(&project), [] as [&str; 0]);
    }
    project.write("2_posts.sql", "create table posts (x)");
    project.assert_clean();
}

#[test]
fn a_failed_migration_without_a_transaction_is_named_with_its_line() {
    let twice = "-- no-transaction\ncreate table posts (x);\ncreate table posts (x);";
    let project = Project::new(&[USERS, ("2_posts.sql", twice)]);
    let report = format!("{:?}", project.open_error());
    assert!(report.contains("2_posts.sql fails at line 3\n"), "{report}");
    assert_eq!(files(&project), [] as [&str; 0]);
}

#[test]
fn a_setting_of_a_migration_ends_with_it() {
    let off = "-- no-transaction\npragma foreign_keys = off; create table post (user int references users (id));";
    let project = Project::new(&[USERS, ("2_post.sql", off), ("3_orphan.sql", "insert into post values (7)")]);
    let report = format!("{:?}", project.open_error());
    assert!(report.contains("3_orphan.sql fails at line 1\n"), "{report}");
    assert!(report.contains("FOREIGN KEY constraint failed"), "{report}");
}

#[test]
fn two_migrations_of_one_version_are_named() {
    let project = Project::new(&[USERS, ("2_a.sql", "create table a (x)"), ("2_b.sql", "create table b (x)")]);
    let report = format!("{:?}", project.open_error());
    assert!(report.starts_with("two migrations with the version 2 in "), "{report}");
    assert!(report.contains("`2_a.sql` and `2_b.sql`"), "{report}");
    assert!(!project.sqlite_dir().exists());
}

#[test]
fn a_migrator_of_the_users_own_is_run() {
    let migration = |version, sql: &'static str| {
        Migration::new(version, "made in code".into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let project = Project::new(&[USERS]);
    let run = |migrations| {
        let migrator = Migrations::Migrator(Box::leak(Box::new(Migrator::with_migrations(migrations))));
        let test: &TestSpec = Box::leak(Box::new(TestSpec::new("tests::with_a_migrator", "").migrations(migrator)));
        runtime().block_on(async {
            let mut test = open(project.folder.path(), test).await?;
            test.connection().await?.execute("insert into made values (1)").await.unwrap();
            Ok::<_, crate::Error>(test.give_back()?)
        })
    };
    run(vec![migration(1, "create table made (x)")]).unwrap();
    let error = run(vec![migration(1, "create table made (x)"), migration(2, "\n\nselect nothing")]).unwrap_err();
    let report = format!("{error:?}");
    assert!(report.contains("caused by: the migrations of sqlx cannot be applied\n"), "{report}");
    assert!(report.contains("caused by: while executing migration 2: "), "{report}");
}

#[test]
fn migrations_of_diesel_fill_its_table() {
    let mut project = Project::new(&[
        ("2026-01-01-000000_users/up.sql", USERS.1),
        ("2026-01-02-000000_admin/up.sql", "insert into users (name) values ('admin')"),
    ]);
    let versions: Vec<String> = project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        assert_eq!(names(&mut conn).await, ["admin"]);
        let versions = "select version from __diesel_schema_migrations order by version";
        sqlx::query_scalar(versions).fetch_all(&mut conn).await.unwrap()
    });
    assert_eq!(versions, ["20260101000000", "20260102000000"]);
    project.write("2026-01-02-000000_admin/up.sql", "select 1;\n\ninsert into users (nme) values ('admin')");
    let report = format!("{:?}", project.open_error());
    assert!(report.contains("2026-01-02-000000_admin/up.sql fails at line 3"), "{report}");
}

#[test]
fn migrations_of_refinery_fill_its_table() {
    let project = Project::new(&[
        ("V1__users.sql", USERS.1),
        ("V2__wal.sql", "-- refinery:noTransaction\npragma journal_mode = wal;\nvacuum"),
    ]);
    project.assert_clean();
    let history = "select version || name from refinery_schema_history where applied_on like '2%Z' and checksum > '0'";
    assert_eq!(answers(&project, history), ["1users", "2wal"]);
}

#[test]
fn migrations_of_dbmate_fill_its_table() {
    let users = format!("-- migrate:up\n{}\n-- migrate:down\ndrop table users", USERS.1);
    let project =
        Project::new(&[("1_users.sql", users.as_str()), ("2_more.sql", "-- migrate:up\ncreate table more (x)")]);
    project.assert_clean();
    assert_eq!(answers(&project, "select version from schema_migrations order by 1"), ["1", "2"]);
}

#[test]
fn numbered_files_are_applied() {
    let project = Project::new(&[("2.sql", "alter table users add age int"), ("1-users.sql", USERS.1)]);
    assert_eq!(answers(&project, "select name from pragma_table_info('users') where name = 'age'"), ["age"]);
}

fn answers(project: &Project, sql: &'static str) -> Vec<String> {
    project.pass(async |test| sqlx::query_scalar(sql).fetch_all(&mut test.connection().await.unwrap()).await.unwrap())
}

#[test]
fn migrations_of_tools_in_go_and_of_prisma_fill_their_tables() {
    let users = |before: &str, after: &str| format!("{before}\n{};\n{after}\ndrop table users;\n", USERS.1);
    let goose = users("-- +goose Up", "-- +goose Down");
    let project = Project::new(&[
        ("00001_users.sql", &goose),
        ("00002_b.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nvacuum;"),
    ]);
    project.assert_clean();
    assert_eq!(
        answers(&project, "select version_id || is_applied from goose_db_version order by id"),
        ["01", "11", "21"]
    );

    let project = Project::new(&[("1-users.sql", &users("-- +migrate Up", "-- +migrate Down"))]);
    project.assert_clean();
    assert_eq!(
        answers(&project, "select id from gorp_migrations where applied_at <= current_timestamp"),
        ["1-users.sql"]
    );

    let project = Project::new(&[("20240101_users/migration.sql", USERS.1)]);
    project.assert_clean();
    assert_eq!(answers(&project, "select migration_name from _prisma_migrations"), ["20240101_users"]);
}

//! The schema of a test: found, migrated once, and the same in every clone.

mod dumps;
mod failures;
mod histories;
mod layouts;

use ptest::TestDatabase;
use sqlx::migrate::Migrator;
use sqlx::{PgPool, SqlitePool};

use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun, ask};
use crate::target::Target;

static MIGRATOR: Migrator = sqlx::migrate!("tests/it/migrations");

const NAME: &str = "select current_database()";
const TABLES: &str =
    "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1";

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_migrator(pool: PgPool) -> sqlx::Result<()> {
    sqlx::query("insert into account values ('admin')").execute(&pool).await?;
    Ok(())
}

#[ptest::db_test(migrator = "MIGRATOR")]
async fn a_migrator_on_sqlite(pool: SqlitePool) -> sqlx::Result<()> {
    sqlx::query("insert into account values ('admin', 0)").execute(&pool).await?;
    Ok(())
}

#[ptest::db_test(migrations = false)]
async fn none(pool: PgPool) -> sqlx::Result<()> {
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&pool).await?;
    assert!(tables.is_empty(), "{tables:?}");
    Ok(())
}

/// As an application does it that migrates its database when it starts.
#[ptest::db_test(migrations = "tests/it/migrations")]
async fn the_applications_own_migrator_finds_nothing_to_do(pool: PgPool) -> Result<(), Box<dyn std::error::Error>> {
    let before: Vec<(i64, String)> = applied(&pool).await?;
    MIGRATOR.run(&pool).await?;
    assert_eq!(applied(&pool).await?, before);
    assert_eq!(before.len(), 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn nor_does_it_on_sqlite(pool: SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
    MIGRATOR.run(&pool).await?;
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(&pool).await?;
    assert_eq!(applied, 1);
    Ok(())
}

/// When each was installed says whether it was again.
async fn applied(pool: &PgPool) -> sqlx::Result<Vec<(i64, String)>> {
    sqlx::query_as("select version, installed_on::text from _sqlx_migrations order by 1").fetch_all(pool).await
}

#[test]
fn a_changed_migration_makes_another_template() {
    let package = Package::new(&[("migrations/1_a.sql", "create table changed_a (id int);")]);
    let first = ask(&package, &[NAME, TABLES]);
    assert_eq!(first[1..], ["_sqlx_migrations", "changed_a"]);

    package.write("migrations/2_b.sql", "create table changed_b (id int);");
    let second = ask(&package, &[NAME, TABLES]);
    assert_eq!(second[1..], ["_sqlx_migrations", "changed_a", "changed_b"]);
    package.write("migrations/2_b.sql", "create table changed_c (id int);");
    let third = ask(&package, &[NAME, TABLES]);
    assert_eq!(third[1..], ["_sqlx_migrations", "changed_a", "changed_c"]);

    std::fs::remove_file(package.path().join("migrations/2_b.sql")).unwrap();
    let again = ask(&package, &[NAME, TABLES]);
    assert_eq!(again, first);
    assert!(first[0] != second[0] && second[0] != third[0] && third[0] != first[0]);
}

#[test]
fn what_migrations_insert_is_in_every_clone() {
    let sql = "create table role (name text primary key); insert into role values ('admin'), ('guest');";
    let package = Package::new(&[("migrations/1_role.sql", sql)]);
    for _ in 0..2 {
        let names =
            ask(&package, &["select name from role order by 1", "delete from role", "select count(*) from role"]);
        assert_eq!(names, ["admin", "guest", "0"]);
    }
}

#[test]
fn settings_and_grants_of_the_database_are_in_every_clone() {
    let package = Package::new(&[(
        "migrations/1_settings.sql",
        r#"
        create schema app;
        do $$ begin
            execute format('alter database %I set work_mem = ''5MB''', current_database());
            execute format('alter database %I set search_path = app, "$user", public', current_database());
            execute format('alter database %I set timezone = ''Asia/Kolkata''', current_database());
            execute format('alter database %I set datestyle = ''German, DMY''', current_database());
            execute format('alter database %I set app.greeting = ''it''''s "me", \n''', current_database());
            execute format('alter role current_user in database %I set lock_timeout = ''7s''', current_database());
            execute format('revoke connect on database %I from public', current_database());
            execute format('grant create on database %I to pg_read_server_files', current_database());
            execute format('grant connect on database %I to pg_monitor with grant option', current_database());
        end $$;
        "#,
    )]);
    // Clones that are made now, in whatever way.
    let target = Target::new();
    let run = target.test(ANSWERS).package(&package).statements(&[
        "show work_mem",
        "show search_path",
        "show timezone",
        "show datestyle",
        "show app.greeting",
        "show lock_timeout",
        "select has_database_privilege('pg_read_all_settings', current_database(), 'connect')",
        "select has_database_privilege('pg_read_all_settings', current_database(), 'temp')",
        "select has_database_privilege('pg_read_server_files', current_database(), 'create')",
        "select has_database_privilege('pg_monitor', current_database(), 'create')",
        "select has_database_privilege('pg_monitor', current_database(), 'connect with grant option')",
    ]);
    let answers = run.run().passed().answers();
    let expected = [
        "5MB",
        "app, \"$user\", public",
        "Asia/Kolkata",
        "German, DMY",
        "it's \"me\", \\n",
        "7s",
        "f",
        "t",
        "t",
        "f",
        "t",
    ];
    assert_eq!(answers, expected);
}

#[test]
fn one_folder_serves_both_databases() {
    Rerun::test("templates::inner::both")
        .package(&Package::new(&[("migrations/1_both.sql", "create table both_have_it (id int);")]))
        .run()
        .passed();
}

mod inner {
    use super::*;

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn both(pool: PgPool, sqlite: SqlitePool, database: TestDatabase) -> sqlx::Result<()> {
        sqlx::query("insert into both_have_it values (1)").execute(&pool).await?;
        sqlx::query("insert into both_have_it values (1)").execute(&sqlite).await?;
        assert!(database.name().starts_with("ptest_"));
        Ok(())
    }
}

//! Setups: functions whose result is part of the template, as any driver makes it.

use std::collections::BTreeSet;

use ptest::{Context, FromContext, PgUrl, TestDatabase};
use sqlx::{Executor, PgConnection, PgPool, SqliteConnection, SqlitePool, query, query_scalar};

use crate::package::Package;
use crate::target::Target;

const NAMES: &str = "select name from account order by name";
const INSERT: &str = "insert into account (name) values ('set up')";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A parameter of the user's own.
struct App(PgPool);

impl FromContext for App {
    async fn from_context(cx: &mut Context) -> ptest::Result<Self> {
        Ok(App(PgPool::from_context(cx).await?))
    }
}

pub(crate) async fn by_connection(conn: &mut PgConnection) -> sqlx::Result<()> {
    conn.execute(INSERT).await.map(drop)
}

async fn by_value(mut conn: PgConnection) -> Result<(), BoxError> {
    Ok(conn.execute(INSERT).await.map(drop)?)
}

async fn by_pool(pool: PgPool) -> ptest::Result<()> {
    let mut tx = pool.begin().await.map_err(ptest::Error::other)?;
    tx.execute(INSERT).await.map_err(ptest::Error::other)?;
    tx.commit().await.map_err(ptest::Error::other)
}

async fn by_client(client: tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(INSERT).await
}

async fn by_mut_client(client: &mut tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(INSERT).await?;
    transaction.commit().await
}

async fn by_deadpool(client: deadpool_postgres::Client) {
    client.batch_execute(INSERT).await.unwrap();
}

/// It may block, and leave a connection to a thread that never ends.
async fn by_url(url: PgUrl) {
    let (connected, is_connected) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        client.batch_execute(INSERT).unwrap();
        connected.send(()).unwrap();
        loop {
            std::thread::park();
        }
    });
    is_connected.recv().unwrap();
}

async fn by_own_parameter(app: &mut App) -> sqlx::Result<()> {
    app.0.execute(INSERT).await.map(drop)
}

macro_rules! every_parameter {
    ($($name:ident)*) => { mod parameters { use super::*; $(
        #[ptest::db_test(migrations = "tests/it/migrations", setup = super::$name)]
        async fn $name(pool: PgPool) -> sqlx::Result<()> {
            let names: Vec<String> = query_scalar(NAMES).fetch_all(&pool).await?;
            assert_eq!(names, ["set up"]);
            pool.execute("delete from account").await?;
            Ok(())
        }
    )* } };
}
every_parameter!(by_connection by_value by_pool by_client by_mut_client by_deadpool by_url by_own_parameter);

#[ptest::db_test(migrations = "tests/it/migrations", setup = by_connection, isolation = "database")]
async fn of_a_database_of_its_own(pool: PgPool) -> sqlx::Result<()> {
    assert_eq!(query(NAMES).fetch_all(&pool).await?.len(), 1);
    Ok(())
}

async fn greets(conn: &mut PgConnection) -> sqlx::Result<()> {
    conn.execute("insert into account (name) select 'friend of ' || name from account").await.map(drop)
}

#[ptest::db_test(migrations = "tests/it/migrations", setup = greets, seed("admin"), fixtures("guests"))]
async fn after_the_seed_and_before_fixtures(pool: PgPool) -> sqlx::Result<()> {
    let names: Vec<String> = query_scalar(NAMES).fetch_all(&pool).await?;
    assert_eq!(names, ["admin", "friend of admin", "guest", "other"]);
    Ok(())
}

async fn on_sqlite(pool: SqlitePool) -> sqlx::Result<()> {
    pool.execute("pragma journal_mode = wal").await?;
    pool.execute(INSERT).await.map(drop)
}

async fn on_a_connection_of_sqlite(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    conn.execute(INSERT).await.map(drop)
}

#[ptest::db_test(migrations = "tests/it/migrations", setup = on_sqlite, seed("admin"))]
async fn of_sqlite(pool: SqlitePool) -> sqlx::Result<()> {
    let names: Vec<String> = query_scalar(NAMES).fetch_all(&pool).await?;
    assert_eq!(names, ["admin", "set up"]);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", setup = on_a_connection_of_sqlite)]
async fn of_a_connection_of_sqlite(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    assert_eq!(query(NAMES).fetch_all(conn).await?.len(), 1);
    Ok(())
}

const MADE: &str = "create table made (by text)";

#[test]
fn it_runs_once_for_all_processes_and_again_for_another_version() {
    let (target, package) = (Target::new(), Package::new(&[("migrations/1_made.sql", MADE)]));
    let tests = ["one", "another", "of_version_1", "of_version_2", "of_a_file"];
    let all: Vec<_> = tests.iter().chain(&tests).map(|test| format!("setups::versions::{test}")).collect();
    let running: Vec<_> = all.iter().map(|test| target.test(test).package(&package).start()).collect();
    let outcomes: Vec<_> = running.into_iter().map(|one| one.finish()).collect();
    let text: String = outcomes.iter().map(|outcome| outcome.passed().text.as_str()).collect();
    let count = |once: &str| text.matches(once).count();
    // The first two tests share one.
    assert_eq!((count("(once per set of migrations)"), count("(once per setup)")), (1, 4), "{text}");
    let by: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| outcome.lines("made by ")).collect();
    assert_eq!(by.len(), 4, "{by:?}");
}

#[test]
fn a_failure_is_named_and_leaves_nothing() {
    let target = Target::new();
    let cases = [
        ("fails", "the setup function `fails_on_monday` failed", "it is monday"),
        ("panics", "the setup function `panics_on_monday` failed", "it panicked: it is monday"),
        (
            "of_another_database",
            "the setup function `super::on_sqlite` failed",
            "it asks for SQLite, but makes a template of PostgreSQL",
        ),
        (
            "of_another_database_too",
            "the setup function `super::by_pool` failed",
            "it asks for PostgreSQL, but makes a template of SQLite",
        ),
    ];
    for (test, what, why) in cases {
        for _ in 0..2 {
            let outcome = target.test(&format!("setups::failing::{test}")).run();
            outcome.failed().says(what).says(why).says("tests/it/setups.rs:").never_says("the body runs");
        }
    }
    let outcome = target.test("setups::failing::lists").run();
    let names = outcome.passed().lines("database ");
    // Two schemas without their setups, and the lister's slot.
    assert_eq!(names.iter().filter(|name| name.ends_with("_template")).count(), 2, "{names:?}");
    assert_eq!(names.len(), 3, "{names:?}");
}

mod versions {
    use super::*;

    async fn made(pool: PgPool) -> sqlx::Result<()> {
        pool.execute("insert into made values (clock_timestamp() || ' ' || pg_backend_pid())").await.map(drop)
    }

    macro_rules! tests {
        ($($name:ident ($($setup:tt)*))*) => { $(
            #[ptest::db_test($($setup)*)]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, _database: TestDatabase) -> sqlx::Result<()> {
                let by: Vec<String> = query_scalar("select by from made").fetch_all(&pool).await?;
                assert_eq!(by.len(), 1);
                println!("made by {}", by[0]);
                Ok(())
            }
        )* };
    }
    tests! {
        one(setup = made)
        another(setup = self::made)
        of_version_1(setup(made, version = "1"))
        of_version_2(setup(made, version = "2"))
        of_a_file(setup(made, version = include_str!("setups.rs")))
    }
}

mod failing {
    use super::*;

    async fn fails_on_monday(pool: PgPool) -> Result<(), BoxError> {
        pool.execute(INSERT).await?;
        Err("it is monday".into())
    }

    async fn panics_on_monday(_: &mut PgConnection) {
        panic!("it is {}", "monday");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", setup = fails_on_monday)]
    #[ignore = "run by another test: fails"]
    async fn fails(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", setup = panics_on_monday, isolation = "database")]
    #[ignore = "run by another test: fails"]
    async fn panics(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", setup = super::on_sqlite)]
    #[ignore = "run by another test: fails"]
    async fn of_another_database(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", setup = super::by_pool)]
    #[ignore = "run by another test: fails"]
    async fn of_another_database_too(_pool: SqlitePool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn lists(pool: PgPool) -> sqlx::Result<()> {
        let sql = r"select datname from pg_database where datname like 'ptest\_%' order by 1";
        let names: Vec<String> = query_scalar(sql).fetch_all(&pool).await?;
        println!("{}", names.iter().map(|name| format!("database {name}\n")).collect::<String>());
        Ok(())
    }
}

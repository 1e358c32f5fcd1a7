//! Several databases in one test: each of its own schema, on its own server, all given back.

use std::time::Duration;

use ptest::{Context, Database, FromContext, PgUrl, TestDatabase};
use sqlx::{Executor, PgConnection, PgPool, SqliteConnection, SqlitePool, query_scalar};

use crate::rerun::Rerun;
use crate::scratch_server::ScratchServer;

static AUDIT: Database = ptest::database!(migrations = "tests/it/migrations/audit", url = "PTEST_IT_AUDIT_URL");
static SEEDED: Database = ptest::database!(
    migrations = "tests/it/migrations",
    seed("admin"),
    setup(crate::setups::by_connection, version = "1"),
);
/// Declared alike, and yet two.
static SHARD_A: Database = ptest::database!(migrations = "tests/it/migrations/audit");
static SHARD_B: Database = ptest::database!(migrations = "tests/it/migrations/audit");

const ENTRIES: &str = "select count(*) from entry";
const ACCOUNTS: &str = "select count(*) from account";
const ENTER: &str = "insert into entry values ('done')";

async fn count(pool: &PgPool, sql: &'static str) -> sqlx::Result<i64> {
    query_scalar(sql).fetch_one(pool).await
}

/// Each leaves rows in both databases, and finds none.
macro_rules! both_are_clean {
    ($($name:ident $isolation:literal)*) => { $(
        #[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin"), isolation = $isolation)]
        async fn $name(orders: PgPool, #[db(AUDIT)] audit: PgPool) -> sqlx::Result<()> {
            assert_eq!((count(&orders, ACCOUNTS).await?, count(&audit, ENTRIES).await?), (1, 0));
            orders.execute("insert into account (name) values ('guest')").await?;
            audit.execute(ENTER).await?;
            assert!(orders.execute(ENTER).await.is_err(), "it has no such table");
            Ok(())
        }
    )* };
}
both_are_clean!(a "transaction" b "transaction" c "transaction" d "database" e "database");

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_database_that_is_named_twice_is_one(
    #[db(AUDIT)] pool: PgPool,
    #[db(AUDIT)] conn: &mut PgConnection,
    #[db(AUDIT)] database: TestDatabase,
    own: TestDatabase,
) -> sqlx::Result<()> {
    pool.execute(ENTER).await?;
    assert_eq!(query_scalar::<_, i64>(ENTRIES).fetch_one(conn).await?, 1);
    assert_ne!(database.name(), own.name());
    Ok(())
}

#[ptest::db_test(migrations = false)]
async fn two_that_are_alike_are_two(#[db(SHARD_A)] a: PgPool, #[db(SHARD_B)] b: PgPool) -> sqlx::Result<()> {
    a.execute(ENTER).await?;
    assert_eq!((count(&a, ENTRIES).await?, count(&b, ENTRIES).await?), (1, 0));
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations/audit")]
async fn seeds_and_setups_are_the_databases_own(entries: PgPool, #[db(SEEDED)] accounts: PgPool) -> sqlx::Result<()> {
    assert_eq!((count(&entries, ENTRIES).await?, count(&accounts, ACCOUNTS).await?), (0, 2));
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn postgres_and_sqlite(orders: PgPool, #[db(AUDIT)] audit: SqlitePool) -> sqlx::Result<()> {
    orders.execute("insert into account (name) values ('guest')").await?;
    audit.execute(ENTER).await?;
    assert_eq!(query_scalar::<_, i64>(ENTRIES).fetch_one(&audit).await?, 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn two_of_sqlite(orders: &mut SqliteConnection, #[db(AUDIT)] audit: &mut SqliteConnection) -> sqlx::Result<()> {
    orders.execute("insert into account (name) values ('guest')").await?;
    audit.execute(ENTER).await?;
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
fn of_a_plain_function(orders: PgUrl, #[db(AUDIT)] audit: PgUrl) -> Result<(), postgres::Error> {
    let connect = |url: PgUrl| postgres::Client::connect(url.as_str(), postgres::NoTls);
    connect(orders)?.batch_execute("insert into account (name) values ('guest')")?;
    connect(audit)?.batch_execute(ENTER)
}

struct App {
    orders: PgPool,
    audit: PgPool,
}

impl FromContext for App {
    async fn from_context(cx: &mut Context) -> ptest::Result<Self> {
        let orders = PgPool::from_context(cx).await?;
        Ok(App { orders, audit: PgPool::from_context(cx.of(&AUDIT)).await? })
    }
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn of_a_parameter_of_the_users_own(app: App, #[db(AUDIT)] audit: PgPool) -> sqlx::Result<()> {
    app.audit.execute(ENTER).await?;
    assert_eq!((count(&app.orders, ACCOUNTS).await?, count(&audit, ENTRIES).await?), (0, 1));
    Ok(())
}

/// Neither clock jumps while a database answers.
#[ptest::db_test(migrations = "tests/it/migrations", start_paused = true)]
async fn a_paused_clock_waits_for_both(orders: PgPool, #[db(AUDIT)] audit: PgPool) -> sqlx::Result<()> {
    for _ in 0..20 {
        count(&orders, "select count(*) from account, pg_sleep(0.002)").await?;
        count(&audit, "select count(*) from entry, pg_sleep(0.002)").await?;
    }
    let before = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(before.elapsed() >= Duration::from_secs(3600));
    Ok(())
}

/// Named in one order by some and in the other by the rest, in several processes at once.
#[test]
fn no_order_makes_tests_wait_for_each_other() {
    let runs: Vec<_> = (0..3).map(|_| Rerun::module("named::orders::").threads(4).start()).collect();
    for run in runs {
        run.finish().passed();
    }
}

#[test]
fn each_has_the_server_of_its_variable() {
    let server = ScratchServer::start("", "create database app");
    let run = Rerun::test("named::inner::says_where").without("PTEST_DATABASE_URL").without("DATABASE_URL");
    let outcome = run.env("PTEST_IT_AUDIT_URL", server.tcp("postgres")).run();
    let ports = outcome.passed().lines("port ");
    assert!(ports[0] != ports[1] && server.tcp("postgres").contains(&format!(":{}/", ports[1])), "{ports:?}");
    assert!(server.databases().iter().any(|name| name.ends_with("_template")), "{:?}", server.databases());

    // One variable for all of them.
    let run = Rerun::test("named::inner::says_where").env("PTEST_DATABASE_URL", "own");
    let outcome = run.env("PTEST_IT_AUDIT_URL", "postgres://me:hunter2@no-such-host.invalid/app").run();
    let ports = outcome.passed().lines("port ");
    assert_eq!(ports[0], ports[1]);

    let run = Rerun::test("named::inner::says_where").without("PTEST_DATABASE_URL").without("DATABASE_URL");
    let outcome = run.env("PTEST_IT_AUDIT_URL", "postgres://me:hunter2@no-such-host.invalid/app").run();
    outcome.failed().says("at me@no-such-host.invalid:5432 (from PTEST_IT_AUDIT_URL)").never_says("hunter2");
}

#[test]
fn a_deadline_ends_the_statement_in_the_other_database() {
    Rerun::test("named::inner::sleeps").run().failed().says("did not end within 300ms");
}

#[test]
fn a_failure_tells_of_both() {
    let outcome = Rerun::test("named::inner::fails").run();
    outcome
        .failed()
        .says("insert into account (name) values ('of the first')")
        .says("insert into entry values ('of the second')");
    assert_eq!(outcome.lines("  database ptest_").len(), 2, "{outcome}");
}

mod orders {
    use super::*;

    macro_rules! tests {
        ($($one:ident $other:ident)*) => { $(
            #[ptest::db_test(migrations = false)]
            #[ignore = "run by another test"]
            async fn $one(#[db(AUDIT)] a: PgPool, #[db(SEEDED)] b: PgPool) -> sqlx::Result<()> {
                a.execute(ENTER).await?;
                b.execute("delete from account").await.map(drop)
            }

            #[ptest::db_test(migrations = false)]
            #[ignore = "run by another test"]
            async fn $other(#[db(SEEDED)] b: PgPool, #[db(AUDIT)] a: PgPool) -> sqlx::Result<()> {
                b.execute("delete from account").await?;
                a.execute(ENTER).await.map(drop)
            }
        )* };
    }
    tests!(a1 b1 a2 b2 a3 b3 a4 b4 a5 b5 a6 b6);
}

mod inner {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn says_where(orders: PgPool, #[db(AUDIT)] audit: PgPool) -> sqlx::Result<()> {
        for pool in [&orders, &audit] {
            let port: String = query_scalar("select current_setting('port')").fetch_one(pool).await?;
            println!("port {port}");
        }
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations", timeout = "300ms")]
    #[ignore = "run by another test: fails"]
    fn sleeps(_orders: PgUrl, #[db(AUDIT)] audit: PgUrl) {
        let mut client = postgres::Client::connect(audit.as_str(), postgres::NoTls).unwrap();
        let _ = client.batch_execute("select pg_sleep(600)");
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test: fails"]
    async fn fails(orders: PgPool, #[db(AUDIT)] audit: PgPool) {
        orders.execute("insert into account (name) values ('of the first')").await.unwrap();
        audit.execute("insert into entry values ('of the second')").await.unwrap();
        panic!("as asked");
    }
}

//! What a test that fails says of its database, after its own message.

use std::process::{ExitCode, Termination};

use ptest::PgUrl;
use sqlx::{Executor, PgPool};

use crate::rerun::{Outcome, Rerun};

#[track_caller]
fn run(name: &str) -> Outcome {
    Rerun::test(&format!("report::inner::{name}")).run()
}

impl Outcome {
    /// It says these, one after the other.
    #[track_caller]
    fn says_in_order(&self, parts: &[&str]) -> &Self {
        let mut rest = &self.text[..];
        for part in parts {
            let Some(at) = rest.find(part) else { panic!("should say `{part}` now:\n{self}") };
            rest = &rest[at + part.len()..];
        }
        self
    }
}

#[test]
fn the_statements_come_after_the_tests_own_message() {
    // Not as a test of nextest's, which this one may be.
    let rerun = Rerun::test("report::inner::registers_twice").env("NEXTEST_TEST_GLOBAL_SLOT", "");
    rerun.run().failed().says_in_order(&[
        "Error: Database(",
        "\nptest: the statements of `report::inner::registers_twice`, in order:\n",
        "create table users",
        "1 row          insert into users (name, born) values ($1, $2) returning id\n",
        "$1 = 'ada', $2 = 1815\n",
        "error 23505    insert into users",
        "duplicate key value violates unique constraint \"users_name_key\"\n",
        "detail: Key (name)=(ada) already exists.\n",
        "  sessions 1, 2: idle\n",
        "  database ptest_",
        " (slot ",
        "\n    PTEST_KEEP=failed cargo test report::inner::registers_twice\n",
    ]);
    let rerun = Rerun::test("report::inner::registers_twice").env("NEXTEST_TEST_GLOBAL_SLOT", "0");
    rerun.run().says("\n    PTEST_KEEP=failed cargo nextest run report::inner::registers_twice\n");
}

#[test]
fn whatever_a_test_returns() {
    for (name, message) in [
        ("panics", "no such user"),
        ("panics_without_async", "no such user"),
        ("returns_three", ""),
        ("returns_what_it_likes", "what it likes"),
        ("returns_an_error_without_async", "Error: \"no such user\""),
        ("should_panic_and_does_not", "test did not panic as expected"),
        ("should_panic_with_other_words", "panic did not contain expected string"),
    ] {
        let outcome = run(name);
        outcome.failed().says(message).says(&format!("ptest: the statements of `report::inner::{name}`, in order:\n"));
        outcome.says(" 0 rows         select 1 as one where false\n").never_says("select 2");
    }
}

#[test]
fn a_test_that_passes_says_nothing() {
    for name in ["passes", "should_panic_and_does"] {
        run(name).passed().never_says("ptest").never_says("select 1 as one");
    }
}

#[test]
fn a_test_that_passes_says_the_same_when_asked_to() {
    let outcome = Rerun::test("report::inner::passes").env("PTEST_LOG", "sql").run();
    outcome.passed().says("ptest: the statements of `report::inner::passes`, in order:\n").says("select 1 as one");
    outcome.says("  database ptest_").never_says("PTEST_KEEP");
}

#[test]
fn a_variable_with_another_value_is_an_error() {
    for (name, expected) in [("PTEST_LOG", "write `sql`"), ("PTEST_KEEP", "write `failed` or `all`")] {
        let outcome = Rerun::test("report::inner::passes").env(name, "yes").run();
        outcome.failed().says(&format!("`yes` is not a valid value for {name}\n  help: {expected}"));
    }
}

#[test]
fn an_error_that_only_follows_names_the_first() {
    run("goes_on_after_an_error").failed().says_in_order(&[
        "error 22012    select 1 / $1\n",
        "$1 = 0\n",
        "division by zero\n",
        "error 25P02    select 2\n",
        "the error that failed the transaction: division by zero (SQLSTATE 22012)\n",
        "  session 1: in a failed transaction, since division by zero (SQLSTATE 22012)\n",
    ]);
}

#[test]
fn every_protocol_and_client() {
    run("speaks_every_way").failed().says_in_order(&[
        "ok             begin; create table t (a int, b text); commit\n",
        "2 rows         insert into t values (1, 'x'), (2, 'y')\n",
        "2 rows         copy t from stdin\n",
        "1 row          select a from t where b = $1\n",
        "$1 = 'y'\n",
        "error 42P01    select nothing from nowhere\n",
        "error 22P02    select $1::text::int\n",
        "$1 = 'one'\n",
        "  session 1: in an open transaction\n",
        "  sessions 2, 3: idle\n",
    ]);
}

#[test]
fn a_test_whose_time_is_up_says_who_waits_for_whom() {
    run("waits").failed().says_in_order(&[
        "the test did not end within 300ms",
        "help: raise `timeout`",
        "no answer yet  select pg_sleep(600)\n",
        "  when the time was up:\n",
        "  session 1: in an open transaction, has run `select pg_sleep(600)` for ",
        "  session 2: in no transaction, has waited ",
        " for its turn to run `select 2`; session 1 has it\n",
        "  the server: process ",
        " has been active for ",
        ", waits for Timeout PgSleep\n",
    ]);
}

#[test]
fn a_test_that_listens_in_vain_is_told() {
    run("listens")
        .failed()
        .says("a session has said LISTEN, but no NOTIFY is delivered inside the transaction of a test");
}

#[test]
fn a_test_with_a_database_of_its_own_says_who_blocks_whom() {
    run("blocks_itself").failed().says_in_order(&[
        "the test did not end within 500ms",
        "ptest: the statements of `report::inner::blocks_itself`, in order:\n",
        "create table t (a int)\n",
        "lock table t\n",
        "no answer yet  select count(*) from t\n",
        "when the time was up:\n",
        "  its connections when the time was up:\n",
        ", waits for Lock relation, blocked by process ",
        ", runs `select count(*) from t`\n",
        " has been idle in transaction for ",
        ", last ran `lock table t`\n",
        "_warm_",
    ]);
}

#[test]
fn only_the_last_statements_and_only_their_heads() {
    let outcome = run("says_much");
    outcome.failed().says("ptest: the last 30 of 102 statements of `report::inner::says_much`, in order:\n");
    outcome.says("values (99)\n").never_says("values (70)").never_says(&"x".repeat(500)).says(&"x".repeat(300));
    assert!(outcome.text.len() < 8_000, "{outcome}");
}

#[test]
fn secrets_stay_secret() {
    let outcome = run("has_secrets");
    outcome.failed().never_says("hunter2").says("password '***'").says("postgres://***@example.org");
}

/// As a user sees it: two tests at once, each with its own.
#[test]
fn each_test_says_its_own() {
    let outcome = Rerun::module("report::inner::both").captured().threads(2).run();
    outcome.failed();
    let of = |name: &str| {
        let head = format!("---- report::inner::both::{name} stdout ----");
        outcome.text.split(&head).nth(1).unwrap().split("\n---- ").next().unwrap().split("\nfailures:").next().unwrap()
    };
    for (name, other) in [("left", "right"), ("right", "left")] {
        let text = of(name);
        assert!(
            text.contains(&format!("select '{name}'")) && !text.contains(&format!("select '{other}'")),
            "{outcome}"
        );
        assert!(
            text.contains(&format!("ptest: the statements of `report::inner::both::{name}`, in order:\n")),
            "{outcome}"
        );
    }
}

mod inner {
    use super::*;

    /// Something that shows in the report.
    async fn one(pool: &PgPool) {
        pool.execute("select 1 as one where false").await.unwrap();
    }

    fn one_without_async(url: &PgUrl) {
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        client.batch_execute("select 1 as one where false").unwrap();
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn registers_twice(pool: PgPool) -> sqlx::Result<()> {
        pool.execute("create table users (id bigint generated always as identity, name text unique, born int)").await?;
        for name in ["ada", "ada"] {
            sqlx::query("insert into users (name, born) values ($1, $2)\n  returning id")
                .bind(name)
                .bind(1815)
                .execute(&pool)
                .await?;
        }
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn panics(pool: PgPool) {
        one(&pool).await;
        panic!("no such user");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    fn panics_without_async(url: PgUrl) {
        one_without_async(&url);
        panic!("no such user");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn returns_three(pool: PgPool) -> ExitCode {
        one(&pool).await;
        ExitCode::from(3)
    }

    struct Likes;

    impl Termination for Likes {
        fn report(self) -> ExitCode {
            eprintln!("what it likes");
            ExitCode::FAILURE
        }
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn returns_what_it_likes(pool: PgPool) -> impl Termination {
        one(&pool).await;
        Likes
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    fn returns_an_error_without_async(url: PgUrl) -> Result<(), String> {
        one_without_async(&url);
        Err("no such user".to_owned())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    #[should_panic]
    async fn should_panic_and_does_not(pool: PgPool) {
        one(&pool).await;
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    #[should_panic(expected = "no such user")]
    async fn should_panic_with_other_words(pool: PgPool) {
        one(&pool).await;
        panic!("no such table");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    #[should_panic(expected = "such user")]
    async fn should_panic_and_does(pool: PgPool) {
        one(&pool).await;
        panic!("no such user");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn passes(pool: PgPool) {
        one(&pool).await;
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn goes_on_after_an_error(pool: PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        let _ = sqlx::query("select 1 / $1").bind(0).execute(&mut *tx).await;
        sqlx::query("select 2").execute(&mut *tx).await?;
        tx.commit().await
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn speaks_every_way(client: tokio_postgres::Client, pool: PgPool) {
        let mut client = client;
        client.batch_execute("begin; create table t (a int, b text); commit").await.unwrap();
        client.batch_execute("insert into t values (1, 'x'), (2, 'y')").await.unwrap();
        let mut copy = pool.acquire().await.unwrap();
        let mut copy = copy.copy_in_raw("copy t from stdin").await.unwrap();
        copy.send(&b"3\tz\n4\t\\N\n"[..]).await.unwrap();
        copy.finish().await.unwrap();
        client.query("select a from t where b = $1", &[&"y"]).await.unwrap();
        sqlx::query("select nothing from nowhere").execute(&pool).await.unwrap_err();
        client.query("select $1::text::int", &[&"one"]).await.unwrap_err();
        let transaction = client.transaction().await.unwrap();
        std::mem::forget(transaction);
        panic!("enough");
    }

    #[ptest::db_test(migrations = false, timeout = "300ms")]
    #[ignore = "run by another test: fails"]
    async fn waits(pool: PgPool) {
        let mut tx = pool.begin().await.unwrap();
        let other = pool.clone();
        tokio::spawn(async move { sqlx::query("select 2").execute(&other).await });
        sqlx::query("select pg_sleep(600)").execute(&mut *tx).await.unwrap();
    }

    #[ptest::db_test(migrations = false, timeout = "300ms")]
    #[ignore = "run by another test: fails"]
    async fn listens(pool: PgPool) -> sqlx::Result<()> {
        let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await?;
        listener.listen("news").await?;
        pool.execute("notify news").await?;
        listener.recv().await.map(drop)
    }

    /// Two connections, of which one has locked a table; made before the test's time begins.
    struct Blocked {
        _holder: sqlx::Transaction<'static, sqlx::Postgres>,
        waiter: sqlx::pool::PoolConnection<sqlx::Postgres>,
    }

    impl ptest::FromContext for Blocked {
        async fn from_context(cx: &mut ptest::Context) -> ptest::Result<Self> {
            let pool = PgPool::from_context(cx).await?;
            let made = async {
                pool.execute("create table t (a int)").await?;
                let mut holder = pool.begin().await?;
                holder.execute("lock table t").await?;
                Ok(Blocked { _holder: holder, waiter: pool.acquire().await? })
            };
            made.await.map_err(|error: sqlx::Error| ptest::Error::other(error))
        }
    }

    #[ptest::db_test(migrations = false, isolation = "database", timeout = "500ms")]
    #[ignore = "run by another test: fails"]
    async fn blocks_itself(mut blocked: Blocked) -> sqlx::Result<()> {
        blocked.waiter.execute("select count(*) from t").await.map(drop)
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn says_much(pool: PgPool) {
        pool.execute("create table t (a int)").await.unwrap();
        for i in 0..100 {
            pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("insert into t values ({i})")))).await.unwrap();
        }
        pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("select '{}'", "x".repeat(5_000))))).await.unwrap();
        panic!("enough");
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test: fails"]
    async fn has_secrets(pool: PgPool) {
        pool.execute("create role ptest_it_secret password 'hunter2'").await.unwrap();
        sqlx::query("select $1").bind("postgres://ada:hunter2@example.org/db").execute(&pool).await.unwrap();
        panic!("enough");
    }

    mod both {
        use super::*;

        #[ptest::db_test(migrations = false)]
        #[ignore = "run by another test: fails"]
        async fn left(pool: PgPool) {
            pool.execute("select 'left', pg_sleep(0.1)").await.unwrap();
            panic!("left");
        }

        #[ptest::db_test(migrations = false)]
        #[ignore = "run by another test: fails"]
        async fn right(pool: PgPool) {
            pool.execute("select 'right', pg_sleep(0.1)").await.unwrap();
            panic!("right");
        }
    }
}

//! Migrators of the user's own, for tools that ptest does not know.

use ptest::Migrator;
use sqlx::{Connection, PgConnection, PgPool, SqliteConnection, SqlitePool, query_scalar};

use crate::target::Target;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A tool that runs one script, on either database.
struct Script(&'static str);

impl Migrator for Script {
    fn name(&self) -> &str {
        "one-script"
    }

    fn fingerprint(&self) -> String {
        self.0.to_owned()
    }

    async fn migrate(&self, url: &str) -> Result<(), BoxError> {
        if url.starts_with("postgres") {
            let mut conn = PgConnection::connect(url).await?;
            sqlx::raw_sql(self.0).execute(&mut conn).await?;
        } else {
            let mut conn = SqliteConnection::connect(url).await?;
            sqlx::raw_sql("pragma journal_mode = wal").execute(&mut conn).await?;
            sqlx::raw_sql(self.0).execute(&mut conn).await?;
        }
        Ok(())
    }
}

static FIRST: Script = Script("create table made (n int); insert into made values (1)");
static SECOND: Script = Script("create table made (n int); insert into made values (2)");

macro_rules! on_both {
    ($($name:ident $on_sqlite:ident $migrator:expr, $n:literal;)*) => { $(
        #[ptest::db_test(migrator = $migrator)]
        async fn $name(pool: PgPool) -> sqlx::Result<()> {
            assert_eq!(query_scalar::<_, i32>("select n from made").fetch_all(&pool).await?, [$n]);
            sqlx::query("delete from made").execute(&pool).await.map(drop)
        }

        #[ptest::db_test(migrator = $migrator)]
        async fn $on_sqlite(pool: SqlitePool) -> sqlx::Result<()> {
            assert_eq!(query_scalar::<_, i32>("select n from made").fetch_all(&pool).await?, [$n]);
            sqlx::query("delete from made").execute(&pool).await.map(drop)
        }
    )* };
}
on_both! {
    first first_on_sqlite FIRST, 1;
    first_again first_again_on_sqlite FIRST, 1;
    second second_on_sqlite SECOND, 2;
    unit unit_on_sqlite Unit, 3;
    other_unit other_unit_on_sqlite OtherUnit, 4;
}

/// Two values without a size, which may share their address.
struct Unit;
struct OtherUnit;

macro_rules! unit {
    ($($name:ident $sql:literal)*) => { $(
        impl Migrator for $name {
            fn fingerprint(&self) -> String {
                "1".to_owned()
            }

            async fn migrate(&self, url: &str) -> Result<(), BoxError> {
                Script($sql).migrate(url).await
            }
        }
    )* };
}
unit! {
    Unit "create table made (n int); insert into made values (3)"
    OtherUnit "create table made (n int); insert into made values (4)"
}

#[test]
fn a_failure_names_the_tool_and_leaves_nothing() {
    let target = Target::new();
    for (test, why) in [
        ("broken", "syntax error at or near \"tabel\""),
        ("broken_on_sqlite", "near \"tabel\": syntax error"),
        ("panics", "it panicked: no migrations today"),
    ] {
        for _ in 0..2 {
            let outcome = target.test(&format!("migrators::failing::{test}")).run();
            outcome.failed().says("cannot be applied").says(why).never_says("the body runs");
        }
    }
    let outcome = target.test("migrators::failing::lists").run();
    assert_eq!(outcome.passed().lines("database ").len(), 2, "the lister's own: {outcome}");
}

mod failing {
    use super::*;

    static BROKEN: Script = Script("create table a (n int); create tabel b (n int)");

    struct Panics;

    impl Migrator for Panics {
        fn fingerprint(&self) -> String {
            String::new()
        }

        async fn migrate(&self, _: &str) -> Result<(), BoxError> {
            panic!("no migrations today");
        }
    }

    #[ptest::db_test(migrator = BROKEN)]
    #[ignore = "run by another test: fails"]
    async fn broken(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrator = BROKEN)]
    #[ignore = "run by another test: fails"]
    async fn broken_on_sqlite(_pool: SqlitePool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrator = Panics)]
    #[ignore = "run by another test: fails"]
    async fn panics(_pool: PgPool) {
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

//! Seeds: scripts that are part of the template, on top of one migrated template for all of them.

use std::collections::BTreeSet;

use ptest::{PgUrl, TestDatabase};
use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool, query, query_scalar};

use crate::package::Package;
use crate::rerun::Outcome;
use crate::target::Target;

const NAMES: &str = "select name from account order by name";

async fn next_visit(conn: &mut PgConnection) -> sqlx::Result<i64> {
    query_scalar("insert into visit (name) values ('dora') returning id").fetch_one(conn).await
}

/// Each of them changes what the seed made, and none sees it of another.
macro_rules! every_test_starts_with_the_seed {
    ($($name:ident $isolation:literal)*) => { $(
        #[ptest::db_test(
            migrations = "tests/it/migrations", seed("admin"), seed("./seeds/visits.sql"), isolation = $isolation
        )]
        async fn $name(conn: &mut PgConnection) -> sqlx::Result<()> {
            let names: Vec<String> = query_scalar(NAMES).fetch_all(&mut *conn).await?;
            assert_eq!(names, ["admin"]);
            assert_eq!((next_visit(conn).await?, next_visit(conn).await?), (101, 102));
            query("delete from account").execute(&mut *conn).await?;
            Ok(())
        }
    )* };
}
every_test_starts_with_the_seed!(
    rolled_back_a "transaction" rolled_back_b "transaction" rolled_back_c "transaction"
    thrown_away_a "database" thrown_away_b "database"
);

#[ptest::db_test(migrations = "tests/it/migrations", seed("admin"), fixtures("guests"))]
async fn fixtures_come_on_top(pool: PgPool) -> sqlx::Result<()> {
    let names: Vec<String> = query_scalar(NAMES).fetch_all(&pool).await?;
    assert_eq!(names, ["admin", "guest", "other"]);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", seed("admin", "guests"))]
fn of_a_plain_function(url: PgUrl) -> Result<(), postgres::Error> {
    let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls)?;
    assert_eq!(client.query(NAMES, &[])?.len(), 3);
    Ok(())
}

#[ptest::db_test(migrations = false, seed("numbers"))]
async fn without_migrations(pool: PgPool) -> sqlx::Result<()> {
    assert_eq!(query_scalar::<_, i64>("select sum(n) from number").fetch_one(&pool).await?, 6);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", seed("admin"), fixtures("guests"))]
async fn of_sqlite(pool: SqlitePool) -> sqlx::Result<()> {
    assert_eq!(query(NAMES).fetch_all(&pool).await?.len(), 3);
    query("delete from account").execute(&pool).await?;
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", seed("admin"), fixtures("guests"))]
async fn of_a_connection_of_sqlite(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    assert_eq!(query(NAMES).fetch_all(conn).await?.len(), 3);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", seed("admin"), isolation = "database")]
async fn of_sqlite_that_commits(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    query("insert into account (name) values ('guest')").execute(&mut *conn).await?;
    assert_eq!(query(NAMES).fetch_all(conn).await?.len(), 2);
    Ok(())
}

const SUITES: [&str; 10] = ["a", "b", "c", "ab", "ba", "ac", "ca", "bc", "cb", "abc"];

#[test]
fn ten_suites_with_different_seeds_migrate_once() {
    let made = "create table made (by text default clock_timestamp() || ' ' || pg_backend_pid());
        insert into made default values; create table seeded (id serial, name text);";
    let (target, package) = (Target::new(), Package::new(&[("migrations/1_made.sql", made)]));
    let run = |suite: &str, times: usize| -> Vec<Outcome> {
        let test = format!("seeds::suites::{suite}");
        let all: Vec<_> = (0..times).map(|_| target.test(&test).package(&package).start()).collect();
        all.into_iter().map(|one| one.finish()).collect()
    };
    // The first two suites race for the migrations, each from two processes.
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let first: Vec<_> = SUITES[..2].iter().map(|suite| scope.spawn(|| run(suite, 2))).collect();
        first.into_iter().flat_map(|suites| suites.join().unwrap()).collect()
    });
    let rest = SUITES[2..].iter().flat_map(|suite| run(suite, 1));
    let outcomes: Vec<Outcome> = outcomes.into_iter().chain(rest).collect();

    let text: String = outcomes.iter().map(|outcome| outcome.passed().text.as_str()).collect();
    let built = |once: &str| text.matches(once).count();
    assert_eq!((built("(once per set of migrations)"), built("(once per seed)")), (1, SUITES.len()), "{text}");
    let by: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| outcome.lines("migrated by ")).collect();
    assert_eq!(by.len(), 1, "{by:?}");
    let names: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| outcome.lines("family ")).collect();
    assert_eq!(names.len(), SUITES.len(), "{names:?}");
}

#[test]
fn a_changed_migration_makes_the_seed_anew() {
    let target = Target::new();
    let table = "create table made (by text); create table seeded (id serial, name text);";
    let package = Package::new(&[("migrations/1_made.sql", table)]);
    let run = || target.test("seeds::suites::a").package(&package).run();
    let family = |outcome: &Outcome| outcome.passed().lines("family ")[0].to_owned();
    let first = family(&run());
    assert_eq!(family(run().never_says("built the template")), first);
    package.write("migrations/2_more.sql", "create table more ();");
    assert_ne!(family(run().says("once per seed")), first);
}

#[test]
fn an_error_says_file_and_line_and_leaves_nothing() {
    let target = Target::new();
    let cases = [
        ("seeds::inner::broken", "fixtures/broken.sql fails at line 4", "SQLSTATE 42703"),
        ("seeds::inner::twice", "fixtures/twice.sql fails at line 4", "SQLSTATE 23505"),
        ("seeds::inner::broken_in_a_database", "fixtures/broken.sql fails at line 4", "SQLSTATE 42703"),
        ("seeds::sqlite::broken", "fixtures/broken.sql fails at line 3", "no column named password"),
    ];
    for (test, place, error) in cases {
        for _ in 0..2 {
            let outcome = target.test(test).run();
            outcome.failed().says(place).says(error).says("tests/it/seeds.rs:").never_says("the body runs");
        }
    }
    let outcome = target.test("seeds::inner::lists").run();
    let names = outcome.passed().lines("database ");
    let (templates, others): (Vec<&str>, _) = names.into_iter().partition(|name| name.ends_with("_template"));
    // That of the migrations, which the seeds share, and the lister's own with its slot.
    assert_eq!((templates.len(), others.len()), (2, 1), "{templates:?} {others:?}");
    let files = std::fs::read_dir(target.path().join("ptest/sqlite")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "the template of the migrations, and the lock: {files:?}");
}

mod suites {
    use super::*;

    macro_rules! suites {
        ($($name:ident ($($file:literal),*))*) => { $(
            #[ptest::db_test(seed($($file),*))]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
                let names: Vec<String> = query_scalar("select name from seeded order by id").fetch_all(&pool).await?;
                assert_eq!(names.concat(), stringify!($name));
                let by: Option<String> = query_scalar("select by from made").fetch_optional(&pool).await?;
                println!("migrated by {}", by.unwrap_or_default());
                println!("family {}", database.name().rsplit_once('_').unwrap().0);
                Ok(())
            }
        )* };
    }
    suites! {
        a("./seeds/a.sql") b("./seeds/b.sql") c("./seeds/c.sql")
        ab("./seeds/a.sql", "./seeds/b.sql") ba("./seeds/b.sql", "./seeds/a.sql")
        ac("./seeds/a.sql", "./seeds/c.sql") ca("./seeds/c.sql", "./seeds/a.sql")
        bc("./seeds/b.sql", "./seeds/c.sql") cb("./seeds/c.sql", "./seeds/b.sql")
        abc("./seeds/a.sql", "./seeds/b.sql", "./seeds/c.sql")
    }
}

mod inner {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations", seed("broken"))]
    #[ignore = "run by another test: fails"]
    async fn broken(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", seed("twice"))]
    #[ignore = "run by another test: fails"]
    async fn twice(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", seed("broken"), isolation = "database")]
    #[ignore = "run by another test: fails"]
    async fn broken_in_a_database(_pool: PgPool) {
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

mod sqlite {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations", seed("broken"))]
    #[ignore = "run by another test: fails"]
    async fn broken(_pool: SqlitePool) {
        println!("the body runs");
    }
}

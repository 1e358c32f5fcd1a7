//! Tests that are killed while they run, begin and end: what they leave, no other test finds, and it does not pile up.

use std::path::Path;
use std::time::Duration;

use ptest::TestDatabase;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{Connection, PgConnection, PgPool, query, query_scalar};

use crate::rerun::Rerun;
use crate::target::Target;

const INNER: &str = "database::killed::inner::";

/// As many processes are killed at once, and as many tests run at once in each.
const PROCESSES: usize = 4;
const THREADS: usize = 3;

/// A server of its own: nobody else's tests and no other reaper are there.
struct Server {
    target: Target,
    connection: PgConnection,
    /// What the names of all databases of these tests begin with.
    family: String,
}

impl Server {
    async fn start() -> Server {
        let target = Target::new();
        let outcome = target.test("database::killed::inner::a").run();
        let name = outcome.passed().lines("database:")[0];
        let family = name.rsplit_once("warm_").map_or(name, |(family, _)| family).to_owned();
        let url = outcome.lines("server:")[0];
        let connection = PgConnection::connect(url).await.unwrap();
        Server { target, connection, family }
    }

    fn run(&self, filter: &[&str]) -> Rerun {
        run(&self.target.binary("it"), filter)
    }

    /// The databases of these tests, without the common part of their names.
    async fn databases(&mut self) -> Vec<String> {
        let sql = "select substr(datname, length($1) + 1) from pg_database where starts_with(datname, $1) order by 1";
        query_scalar(sql).bind(&self.family).fetch_all(&mut self.connection).await.unwrap()
    }
}

fn run(binary: &Path, filter: &[&str]) -> Rerun {
    Rerun::of(binary, filter).env("PTEST_DATABASE_URL", "own").threads(THREADS)
}

fn seeded() -> StdRng {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// `PTEST_IT_KILLS` says how many.
#[tokio::test]
async fn tests_do_not_pile_up() {
    let kills = std::env::var("PTEST_IT_KILLS").map_or(60, |kills| kills.parse().unwrap());
    let mut random = seeded();
    let mut server = Server::start().await;
    let killers: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let (binary, mut random) = (server.target.binary("it"), StdRng::seed_from_u64(random.random()));
            std::thread::spawn(move || kill(&binary, kills / PROCESSES, &mut random))
        })
        .collect();
    killers.into_iter().for_each(|killer| killer.join().unwrap());
    // Who comes next finds no trace of them.
    for _ in 0..3 {
        server.run(&[INNER]).run().passed();
    }
    let databases = server.databases().await;
    println!("{kills} killed: {databases:?}");
    assert!(databases.contains(&"template".to_owned()));
    // A backend that has yet to notice that its client was killed keeps a slot for a moment, so another may be made.
    assert!(databases.len() <= 1 + 2 * PROCESSES * THREADS, "{databases:?}");
}

/// Kills so many tests, in processes of one to three, at any moment from the start of the process to its end.
fn kill(binary: &Path, tests: usize, random: &mut StdRng) {
    let mut left = tests;
    while left > 0 {
        let begun = random.random_range(1..=left.min(THREADS));
        let names: Vec<String> = "abc"[..begun].chars().map(|name| format!("{INNER}{name}")).collect();
        let filter: Vec<&str> = std::iter::once("--exact").chain(names.iter().map(String::as_str)).collect();
        let mut process = run(binary, &filter).start();
        if random.random() {
            process.wait_for("database:");
            std::thread::sleep(Duration::from_micros(random.random_range(0..50_000)));
        } else {
            std::thread::sleep(Duration::from_micros(random.random_range(0..300_000)));
        }
        process.kill();
        left -= begun;
    }
}

mod inner {
    use super::*;

    macro_rules! tests {
        ($($name:ident)*) => { $(
            #[ptest::db_test(isolation = "database", migrations = "tests/it/migrations/killed")]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
                let (folder, port): (String, String) = sqlx::query_as(
                    "select split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')",
                )
                .fetch_one(&pool)
                .await?;
                println!("\nserver: postgres://postgres@localhost/postgres?host={folder}&port={port}");
                println!("database: {}", database.name());
                let traces: i64 = query_scalar("select count(*) from trace").fetch_one(&pool).await?;
                assert_eq!(traces, 0, "of another test");
                query("insert into trace values (1)").execute(&pool).await?;
                // What the migrations set and granted is there, in a spare as in a clone made at once.
                let set = "select current_setting('app.mode') || ', ' || current_setting('search_path')";
                assert_eq!(query_scalar::<_, String>(set).fetch_one(&pool).await?, "it's a test, public, pg_temp");
                let granted = "select has_database_privilege('public', current_database(), 'connect') \
                               and not has_database_privilege('public', current_database(), 'temporary')";
                assert!(query_scalar::<_, bool>(granted).fetch_one(&pool).await?);
                Ok(())
            }
        )* };
    }
    tests!(a b c d e f g h i j k l);
}

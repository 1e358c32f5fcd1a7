//! Tests that are killed while they run, begin and end: what they leave is bounded while others run, and goes with time.

use std::path::Path;
use std::time::Duration;

use ptest::{PgUrl, TestDatabase};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, query, query_scalar};

use super::SPARES;
use crate::rerun::Rerun;
use crate::target::Target;

/// As many databases of killed tests as one template may have when another test begins.
const MOST_LEFT: usize = 4;

const INNER: &str = "database::killed::inner::";

/// As many processes are killed at once, and as many tests run at once in each.
const PROCESSES: usize = 4;
const THREADS: usize = 3;

/// Long beyond any time that what happens off the path of tests takes.
const SOON: Duration = Duration::from_secs(60);

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
        let (name, url) = (outcome.passed().lines("database:")[0], outcome.lines("url:")[0]);
        let family = name.split("claimed_").next().unwrap().to_owned();
        let connection = PgConnection::connect(&url.replace(name, "postgres")).await.unwrap();
        Server { target, connection, family }
    }

    fn run(&self, filter: &[&str]) -> Rerun {
        run(&self.target.binary("it"), filter)
    }

    /// The databases of these tests, without the common part of their names; spares are called that.
    async fn databases(&mut self) -> Vec<String> {
        // All in one look, for a spare may just be made.
        let sql = format!(
            "select case when datname in ({SPARES}) then 'spare' else substr(datname, length($1) + 1) end \
             from pg_database where starts_with(datname, $1)"
        );
        let databases = query_scalar(AssertSqlSafe(sql)).bind(&self.family);
        databases.fetch_all(&mut self.connection).await.unwrap()
    }

    async fn count(&mut self, kinds: &[&str]) -> usize {
        let databases = self.databases().await;
        databases.iter().filter(|name| kinds.iter().any(|kind| name.starts_with(kind))).count()
    }

    async fn until(&mut self, kinds: &[&str], enough: impl Fn(usize) -> bool) {
        let waited = tokio::time::timeout(SOON, async {
            while !enough(self.count(kinds).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        if waited.await.is_err() {
            panic!("there are {:?}", self.databases().await);
        }
    }

    /// Beside used ones there is one template, and spares: as many as may begin at once, and each test that ends at the same
    /// time may add one.
    async fn has_a_template_and_spares(&mut self, at_once: usize) {
        let names = self.databases().await;
        let (spares, mut rest): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with("spare"));
        rest.retain(|name| !name.starts_with("claimed_"));
        assert_eq!(rest, ["template"]);
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok()).unwrap_or(0);
        assert!(spares.len() <= cpus.max(slot + 1) + at_once, "{spares:?}");
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
    let (mut most, mut sum, mut looks) = (0, 0, 0);
    while killers.iter().any(|killer| !killer.is_finished()) {
        let used = server.count(&["claimed"]).await;
        (most, sum, looks) = (most.max(used), sum + used, looks + 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    killers.into_iter().for_each(|killer| killer.join().unwrap());
    println!(
        "{kills} killed; used databases: at most {most}, in the mean {}, at the end {}",
        sum / looks,
        server.count(&["claimed"]).await
    );

    let at_once = PROCESSES * THREADS;
    server.until(&["claimed"], |used| used <= MOST_LEFT + at_once).await;
    // Who comes next finds what the last ones left, and no trace of them.
    server.run(&[INNER]).run().passed();
    server.until(&["claimed"], |used| used <= MOST_LEFT).await;
    server.has_a_template_and_spares(PROCESSES * THREADS).await;
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

#[tokio::test]
async fn tests_leave_nothing_for_long() {
    let mut random = seeded();
    let mut server = Server::start().await;
    for _ in 0..12 {
        let mut process = server.run(&[INNER]).start();
        for _ in 0..random.random_range(1..9) {
            process.wait_for("database:");
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(0..30_000))).await;
        process.kill();
    }
    server.run(&[INNER]).run().passed();

    // The reaper runs when it has not for a while. What somebody was still connected to, it takes the next time.
    for _ in 0..10 {
        let _ = std::fs::remove_file(server.target.path().join("ptest/reaped"));
        server.target.test("database::killed::runs_while_the_reaper_does").run().passed();
        if server.count(&["claimed", "build"]).await == 0 {
            break;
        }
    }
    server.until(&["claimed", "build"], |left| left == 0).await;
    // The last batch drops a database before it makes a spare.
    server.target.test("database::killed::inner::a").run().passed();
    server.until(&["spare"], |spares| spares > 0).await;
    server.until(&["claimed"], |used| used == 0).await;
    server.has_a_template_and_spares(THREADS).await;
}

/// Runs until the reaper has done its work, or long enough for it.
#[ptest::db_test(isolation = "database", migrations = "tests/it/migrations/killed")]
#[ignore = "run by another test"]
async fn runs_while_the_reaper_does(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
    let others = format!("^{}_(claimed|build)_", database.name().split("_claimed_").next().unwrap());
    let sql = format!(
        "select count(*) from pg_database where datname ~ $1 and datname <> current_database() and datname not in ({SPARES})"
    );
    for _ in 0..300 {
        if query_scalar::<_, i64>(AssertSqlSafe(sql.as_str())).bind(&others).fetch_one(&pool).await? == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

mod inner {
    use super::*;

    macro_rules! tests {
        ($($name:ident)*) => { $(
            #[ptest::db_test(isolation = "database", migrations = "tests/it/migrations/killed")]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, database: TestDatabase, url: PgUrl) -> sqlx::Result<()> {
                println!("\nurl: {url}\ndatabase: {}", database.name());
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

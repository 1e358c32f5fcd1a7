//! Times the suite of every contender under both runners, in turn, in one run.
//!
//! ```text
//! cargo run -p bench -- [rounds [contender]...]
//! ```

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CONTENDERS: [&str; 8] = [
    "with_ptest",
    "with_ptest_200",
    "with_ptest_database",
    "with_ptest_database_100",
    "with_sqlx_test",
    "with_sqlx_test_100",
    "by_hand",
    "empty",
];
const RUNNERS: [(&str, &[&str]); 2] = [("cargo test", &["test"]), ("cargo nextest run", &["nextest", "run"])];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let named: Vec<String> = arguments.collect();
    let contenders: Vec<&str> =
        CONTENDERS.into_iter().filter(|name| named.is_empty() || named.iter().any(|n| n == name)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = server_url()?;
    let by_hand = prepare_by_hand(&server, root)?;
    println!("{}\n", machine(&server)?);
    println!("| 216 tests | {} |", RUNNERS.map(|(name, _)| format!("{name}: median (min–max) s")).join(" | "));
    println!("|---|---|---|");
    let mut times = vec![Vec::new(); contenders.len() * RUNNERS.len()];
    // In turn, so that a machine that slows down slows all of them.
    for round in 0..=rounds {
        for (c, contender) in contenders.iter().enumerate() {
            for (r, (_, runner)) in RUNNERS.iter().enumerate() {
                let took = run(contender, runner, &server, &by_hand)?;
                // The first round builds, and makes servers and templates.
                if round > 0 {
                    times[c * RUNNERS.len() + r].push(took);
                }
            }
        }
    }
    for (c, contender) in contenders.iter().enumerate() {
        let cells: Vec<String> = (0..RUNNERS.len()).map(|r| cell(&mut times[c * RUNNERS.len() + r])).collect();
        println!("| {contender} | {} |", cells.join(" | "));
    }
    Ok(())
}

fn run(contender: &str, runner: &[&str], server: &str, by_hand: &str) -> Result<Duration> {
    let mut command = Command::new(env!("CARGO"));
    command.args(runner).args(["-p", "bench", "--test", contender]);
    // A server of the user's serves all of them. Else it is ptest's own, which ptest finds without a URL.
    if std::env::var_os("DATABASE_URL").is_none() {
        command.env("PTEST_DATABASE_URL", "own");
    }
    command.env("DATABASE_URL", server).env("BENCH_BY_HAND_URL", by_hand);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output()?;
    let took = started.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    Err(format!("{contender} under {runner:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)).into())
}

fn cell(times: &mut [Duration]) -> String {
    times.sort();
    let seconds = |t: &Duration| t.as_secs_f64();
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(min), Some(median), Some(max)) => {
            format!("{:.2} ({:.2}–{:.2})", seconds(median), seconds(min), seconds(max))
        }
        _ => "–".to_owned(),
    }
}

/// The server that all contenders share: the user's, else ptest's own, which is asked where it listens.
fn server_url() -> Result<String> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return Ok(url);
    }
    static TEST: ptest::__private::TestSpec =
        ptest::__private::TestSpec::new("bench::server", env!("CARGO_MANIFEST_DIR"))
            .migrations(ptest::__private::Migrations::None);
    let sql = "SELECT current_setting('unix_socket_directories'), current_setting('port')";
    let (tell, told) = std::sync::mpsc::channel();
    ptest::__private::run(&TEST, |cx| {
        Box::pin(async move {
            let pool = <sqlx::PgPool as ptest::FromContext>::from_context(cx).await?;
            let found = sqlx::query_as(sql).fetch_one(&pool).await.map_err(ptest::Error::other)?;
            tell.send(found).map(ptest::__private::report).map_err(ptest::Error::other)
        })
    });
    let (folder, port): (String, String) = told.recv()?;
    Ok(format!("postgres://postgres@{}:{port}/postgres", folder.replace('/', "%2F")))
}

/// One migrated database for the tests by hand.
fn prepare_by_hand(server: &str, root: &Path) -> Result<String> {
    use sqlx::{Connection, Executor, PgConnection};
    let (base, _) = server.rsplit_once('/').ok_or("the server's URL names no database")?;
    let url = format!("{base}/bench_by_hand");
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut admin = PgConnection::connect(server).await?;
        admin.execute("DROP DATABASE IF EXISTS bench_by_hand").await?;
        admin.execute("CREATE DATABASE bench_by_hand").await?;
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::migrate::Migrator::new(root.join("migrations")).await?.run(&mut connection).await?;
        Ok(url)
    })
}

fn machine(server: &str) -> Result<String> {
    use sqlx::{Connection, PgConnection};
    let cores = std::thread::available_parallelism()?;
    let rustc = Command::new("rustc").arg("--version").output()?.stdout;
    let postgres: String = tokio::runtime::Runtime::new()?.block_on(async {
        let mut connection = PgConnection::connect(server).await?;
        sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await
    })?;
    let (rustc, postgres) =
        (String::from_utf8_lossy(&rustc), postgres.split(' ').next().unwrap_or_default().to_owned());
    Ok(format!("{cores} cores, {}, PostgreSQL {postgres}, debug build", rustc.trim()))
}

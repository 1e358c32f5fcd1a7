//! A server of ptest's that is told to end while tests run (SIGTERM: a machine that goes down, a container that stops). It lets
//! nobody in any more, and waits for whoever is connected: for tests that run, and for what their processes keep for later.

use std::path::Path;
use std::time::{Duration, Instant};

use ptest::TestDatabase;
use sqlx::PgPool;

use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun};
use crate::target::Target;

/// How long a run may be held up.
const AT_MOST: Duration = Duration::from_secs(5);

/// What starting a server takes, on a machine that does much else.
const START: Duration = Duration::from_secs(5);

const GO: &str = "PTEST_IT_GO";

#[test]
fn what_a_process_keeps_does_not_hold_the_server_up() {
    let (target, package) = (Target::new(), Package::new(&[]));
    for filter in ["ending::slots::", "ending::databases::"] {
        let go = package.path().join(filter.replace(':', ""));
        let run = Rerun::of(&target.binary("it"), &[filter]).env("PTEST_DATABASE_URL", "own").env(GO, &go);
        let mut running = run.threads(2).start();
        running.wait_for("runs ");
        running.wait_for("runs ");
        target.signal_server("TERM");
        std::fs::write(&go, "").unwrap();
        let begun = Instant::now();
        let outcome = running.finish();
        outcome.passed();
        assert!(begun.elapsed() < AT_MOST + START, "{filter} took {:?}: {outcome}", begun.elapsed());
    }
}

#[test]
fn a_test_of_another_process_does_not_hold_the_server_up() {
    let (target, package) = (Target::new(), Package::new(&[]));
    let mut holds = target.test("ending::slots::a").env(GO, package.path().join("never")).start();
    holds.wait_for("runs ");
    target.signal_server("TERM");
    let begun = Instant::now();
    target.test(ANSWERS).package(&package).statements(&["select 1"]).run().passed();
    assert!(begun.elapsed() < AT_MOST + START, "{:?}", begun.elapsed());
    holds.kill();
}

/// Waits until the server has been told to end.
async fn waits(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    sqlx::query("select 1").execute(&mut *conn).await?;
    println!("\nruns {}", database.name());
    while !Path::new(&std::env::var_os(GO).unwrap()).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sqlx::query("select 1").execute(&mut *conn).await.map(drop)
}

macro_rules! tests {
    ($isolation:literal: $($name:ident)*) => {
        use super::*;
        $(
            #[ptest::db_test(isolation = $isolation, migrations = false)]
            #[ignore = "run by another test"]
            async fn $name(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
                waits(pool, database).await
            }
        )*
    };
}

mod slots {
    tests!("transaction": a b c d e f);
}

mod databases {
    tests!("database": a b c d e f);
}

//! What one test costs inside a process, and what ten thousand of them leave in memory.
//!
//! ```text
//! cargo bench -p bench
//! ```

use std::time::{Duration, Instant};

use ptest::__private::{Migrations, TestSpec, report, run};
use ptest::FromContext;
use sqlx::PgPool;

static TEST: TestSpec =
    TestSpec::new("bench::per_test", env!("CARGO_MANIFEST_DIR")).migrations(Migrations::Dir("migrations"));

fn main() {
    println!("| body | p50 | p95 |\n|---|---|---|");
    row("empty, on a pool", 3000, || {
        run(&TEST, |cx| Box::pin(async { PgPool::from_context(cx).await.map(|_| report(())) }));
    });
    row("insert and count", 1000, || {
        run(&TEST, |cx| {
            Box::pin(async {
                let pool = PgPool::from_context(cx).await?;
                let mut connection = pool.acquire().await.map_err(ptest::Error::other)?;
                bench::insert_and_count(&mut connection).await.map(|_| report(())).map_err(ptest::Error::other)
            })
        });
    });
    let before = resident();
    for _ in 0..10_000 {
        run(&TEST, |cx| Box::pin(async { PgPool::from_context(cx).await.map(|_| report(())) }));
    }
    println!("\n10,000 tests: resident memory grew by {} KiB", resident().saturating_sub(before));
}

fn row(name: &str, count: usize, mut test: impl FnMut()) {
    for _ in 0..50 {
        test();
    }
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let started = Instant::now();
            test();
            started.elapsed()
        })
        .collect();
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
    println!("| {name} | {:.2} ms | {:.2} ms |", at(50), at(95));
}

/// Resident memory in KiB; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

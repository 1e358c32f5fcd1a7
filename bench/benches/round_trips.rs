//! What the sandbox adds to a round trip, and what it takes of the throughput, beside a direct connection to the same
//! server. The two take turns, so that whatever else the machine does hits both.
//!
//! ```text
//! cargo bench -p bench --bench round_trips
//! ```

use std::time::{Duration, Instant};

use bench::wire::{Wire, bind_execute, copy_data, copy_done, parse, query};
use ptest::__private::{Migrations, TestSpec, run_blocking};
use ptest::{FromContext, PgUrl};

static TEST: TestSpec = TestSpec::new("bench::round_trips", env!("CARGO_MANIFEST_DIR")).migrations(Migrations::None);

const ROWS: &str = "select i, 'row ' || i from generate_series(1, 100000) i";
/// A row of 1 KiB in the text format of COPY.
const ROW: usize = 1024;
const COPIED: usize = 100 << 20;

fn main() -> std::process::ExitCode {
    run_blocking(
        &TEST,
        |cx| Box::pin(PgUrl::from_context(cx)),
        |url| {
            compare(url.as_str());
            std::process::ExitCode::SUCCESS
        },
    )
}

fn compare(url: &str) {
    let mut sandbox = Wire::connect(url);
    let direct = Direct::beside(&mut sandbox, url);
    let mut sides = [Wire::connect(&direct.url), sandbox];
    for side in &mut sides {
        side.run("create table t (a int, b text); create table copied (a text)");
        side.send(&[parse("one", "select 1"), parse("insert", "insert into t values (1, 'one')")].concat());
        side.run("select 1");
    }

    println!("| round trip, p50 in µs | direct | sandbox | added |\n|---|---|---|---|");
    let insert = "insert into t values (1, 'one')";
    trip("`SELECT 1`, simple", &mut sides, 4000, 1, |wire| wire.run("select 1"));
    trip("`SELECT 1`, prepared", &mut sides, 4000, 1, |wire| wire.exchange(&bind_execute("one")));
    trip("insert in autocommit, simple", &mut sides, 4000, 1, |wire| wire.run(insert));
    trip("insert in autocommit, prepared", &mut sides, 4000, 1, |wire| wire.exchange(&bind_execute("insert")));
    trip("transaction of five inserts, each of 7", &mut sides, 600, 7, |wire| {
        wire.run("begin");
        (0..5).for_each(|_| wire.exchange(&bind_execute("insert")));
        wire.run("commit");
    });

    println!("\n| throughput, p50 in MB/s | direct | sandbox | share |\n|---|---|---|---|");
    sides.iter_mut().for_each(|side| side.run("truncate t"));
    stream("100,000 rows fetched", &mut sides, 15, |wire| wire.exchange(&query(ROWS)));
    let line = [vec![b'x'; ROW - 1], vec![b'\n']].concat();
    let chunk = copy_data(&line.repeat(64));
    stream("100 MB by COPY in", &mut sides, 5, |wire| {
        wire.run("truncate copied");
        wire.copy_in("copy copied from stdin", &chunk, COPIED / (64 * ROW), &copy_done());
    });
    stream("100 MB by COPY out", &mut sides, 5, |wire| wire.exchange(&query("copy copied to stdout")));

    let sandbox = &mut sides[1];
    print!("\nresident memory grew, at its peak, by");
    for megabytes in [10, 100, 1000] {
        let before = start_peak();
        sandbox.run(&format!("select repeat('x', 1024) from generate_series(1, {})", megabytes * 1024));
        print!(" {} KiB for a result of {megabytes} MB;", peak().saturating_sub(before));
    }
    println!();
    drop(sides);
    direct.drop();
}

/// A row of the first table: what one of `parts` equal round trips takes.
fn trip(name: &str, sides: &mut [Wire; 2], count: usize, parts: u32, mut work: impl FnMut(&mut Wire)) {
    let [direct, sandbox] = p50(sides, count, 50, &mut work).map(|time| time.as_secs_f64() * 1e6 / f64::from(parts));
    println!("| {name} | {direct:.1} | {sandbox:.1} | {:.1} |", sandbox - direct);
}

/// A row of the second table.
fn stream(name: &str, sides: &mut [Wire; 2], count: usize, mut work: impl FnMut(&mut Wire)) {
    let before = sides[0].bytes;
    work(&mut sides[0]);
    let megabytes = (sides[0].bytes - before) as f64 / 1e6;
    let [direct, sandbox] = p50(sides, count, 1, &mut work).map(|time| megabytes / time.as_secs_f64());
    println!("| {name} | {direct:.0} | {sandbox:.0} | {:.0} % |", sandbox / direct * 100.0);
}

/// The median of either side, which take turns after `block` runs.
fn p50(sides: &mut [Wire; 2], count: usize, block: usize, work: &mut dyn FnMut(&mut Wire)) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..count.div_ceil(block) + 1 {
        for (side, times) in sides.iter_mut().zip(&mut times) {
            for _ in 0..block {
                let started = Instant::now();
                work(side);
                if round > 0 {
                    times.push(started.elapsed());
                }
            }
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

/// A database without ptest on the server of the sandbox.
struct Direct {
    admin: String,
    url: String,
    name: String,
}

impl Direct {
    fn beside(sandbox: &mut Wire, url: &str) -> Direct {
        let folders = sandbox.ask("show unix_socket_directories");
        let port = sandbox.ask("show port");
        let user = sandbox.ask("select current_user");
        let socket = |folder: &&str| std::path::Path::new(&format!("{folder}/.s.PGSQL.{port}")).exists();
        let folder = folders.split(',').map(str::trim).find(socket);
        let folder = folder.unwrap_or_else(|| panic!("the server of {url} has no socket here")).replace('/', "%2F");
        let at = |database: &str| format!("postgres://{user}@{folder}:{port}/{database}");
        let name = format!("round_trips_{}", std::process::id());
        Wire::connect(&at("postgres")).run(&format!("create database {name}"));
        Direct { admin: at("postgres"), url: at(&name), name }
    }

    fn drop(self) {
        Wire::connect(&self.admin).run(&format!("drop database {} with (force)", self.name));
    }
}

/// Begins to measure the peak anew, and returns the resident memory in KiB.
fn start_peak() -> u64 {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}

/// A number of KiB that the system knows of this process; 0 where it does not say.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

//! Who may die when: a test's process, the helper, the server, and all of them at once.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{INSERTS, Workspace, wait_for};
use crate::rerun::Running;

const SEED: &str = "PTEST_TEST_SEED";

/// How many processes the storm kills.
const KILLS: &str = "PTEST_TEST_KILLS";

#[test]
fn a_test_in_mid_body() {
    let workspace = Workspace::new();
    let helper = workspace.with_helper();
    let backend = workspace.backend();
    let mut running = workspace.test("helper::inner::waits").env("PTEST_IT_GO", "/no/where").start();
    let leased = running.wait_for("leased ");
    running.wait_for("in body");
    // So that the helper has something to stay for.
    assert_ne!(workspace.backend(), backend);
    running.kill();
    // Its lease ended with it, and with that its rows. The server needs a moment to notice.
    let again = || {
        let outcome = workspace.test(INSERTS).env("PTEST_HELPER", "off").run();
        (outcome.passed().lines("leased ")[0] == leased).then_some(())
    };
    wait_for("the slot of the test that was killed", again);
    assert!(helper.is_alive());
}

#[test]
fn the_helper_while_tests_run() {
    let workspace = Workspace::new();
    let helper = workspace.with_helper();
    let go = workspace.package.path().join("go");
    let mut running = workspace.test("helper::inner::waits").env("PTEST_IT_GO", &go).start();
    running.wait_for("in body");
    helper.signal("-KILL");
    wait_for("its end", || (!helper.is_alive()).then_some(()));
    fs::write(&go, "").unwrap();
    // It finishes, and gives back what it has to nobody: so it starts another.
    running.finish().passed();
    let another = wait_for("another helper", || workspace.helpers().pop());
    assert_ne!(another.pid, helper.pid);
    workspace.backend();
    assert_eq!(workspace.backend(), workspace.backend());
}

#[test]
fn a_helper_that_is_stopped() {
    let workspace = Workspace::new();
    let helper = workspace.with_helper();
    let took = || {
        let begin = Instant::now();
        workspace.backend();
        begin.elapsed()
    };
    let usual = (0..3).map(|_| took()).min().unwrap();
    helper.signal("-STOP");
    // One test waits for it in vain; then another helper takes its place.
    let stopped = took();
    assert!(stopped > Duration::from_millis(400), "{stopped:?}");
    let another = wait_for("another helper", || workspace.helpers().into_iter().find(|other| other.pid != helper.pid));
    let after = (0..3).map(|_| took()).min().unwrap();
    assert!(after < usual + Duration::from_millis(300), "{after:?}, {usual:?} before");
    helper.signal("-CONT");
    wait_for("the end of the first", || (!helper.is_alive()).then_some(()));
    assert!(another.is_alive());
    assert_eq!(workspace.backend(), workspace.backend());
}

#[test]
fn the_server_while_the_helper_has_its_connections() {
    let workspace = Workspace::new();
    workspace.with_helper();
    kill_server(&workspace);
    // One that is started anew.
    workspace.test(INSERTS).run().passed().says("creating a PostgreSQL");
    // The helper may have gone meanwhile, for it had nothing left to lend.
    wait_for("a backend of the new server", || (workspace.backend() == workspace.backend()).then_some(()));
}

#[test]
fn all_of_them_at_random() {
    let seed = std::env::var(SEED).ok().and_then(|s| s.parse().ok()).unwrap_or(u64::from(std::process::id()));
    let kills: u32 = std::env::var(KILLS).ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    println!("{SEED}={seed} {KILLS}={kills}");
    let mut random = StdRng::seed_from_u64(seed);
    let workspace = Workspace::new();
    workspace.with_helper();
    let mut stopped = Vec::new();
    let mut in_body = 0;
    for n in 0..kills {
        let mut tests: Vec<Running> =
            (0..3).map(|_| workspace.test("helper::inner::waits").env("PTEST_IT_GO", "/no/where").start()).collect();
        for test in &mut tests {
            if random.random_ratio(2, 3) {
                test.wait_for("in body");
                in_body += 1;
            }
        }
        for test in tests {
            match random.random_range(0..6) {
                0 => workspace.helpers().iter().for_each(|helper| helper.signal("-KILL")),
                1 => workspace.helpers().into_iter().for_each(|helper| {
                    helper.signal("-STOP");
                    stopped.push(helper);
                }),
                2 if n % 4 == 3 => kill_server(&workspace),
                _ => {}
            }
            test.kill();
        }
        // A test that nobody kills passes, whatever has died, and finds everything clean.
        workspace.test(INSERTS).run().passed();
    }
    assert!(in_body > 0);
    for helper in stopped.iter().filter(|helper| helper.is_alive()) {
        helper.signal("-CONT");
    }
    wait_for("the last helper", || {
        workspace.backend();
        (workspace.helpers().len() == 1 && workspace.backend() == workspace.backend()).then_some(())
    });
    // The helper that was started last has the others' folder; each of them was told to go by its absence.
    let last = workspace.helpers().pop().unwrap();
    for helper in stopped.iter().filter(|helper| helper.pid != last.pid) {
        wait_for("the end of one that was stopped", || (!helper.is_alive()).then_some(()));
    }
    // No more databases than were held at once by tests, by those that had just been killed, and by helpers that were stopped.
    let databases = workspace.test("processes::inner::names").run().passed().lines("database ").len();
    assert!(databases <= 1 + 3 + 4 + 3 * stopped.len(), "{databases} databases");
}

/// Kills the postmaster alone: its children notice by themselves, which is waited for.
fn kill_server(workspace: &Workspace) {
    let file = workspace.target.path().join("ptest/server/data/postmaster.pid");
    let Ok(text) = fs::read_to_string(file) else { return };
    let Some(pid) = text.lines().next() else { return };
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(pid)
    };
    let children: Vec<PathBuf> =
        fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(is_child).collect();
    let _ = std::process::Command::new("kill").args(["-KILL", pid]).status();
    wait_for("the end of the server's processes", || children.iter().all(|child| !child.exists()).then_some(()));
}

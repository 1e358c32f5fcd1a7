//! The helper keeps backends warm between the processes of tests, and is never the reason why one fails.

mod deaths;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ptest::TestDatabase;
use sqlx::PgPool;

use crate::package::Package;
use crate::rerun::Rerun;
use crate::scratch_server::ScratchServer;
use crate::target::Target;

const INSERTS: &str = "helper::inner::inserts";

/// Tests of a workspace of their own, one process after the other.
struct Workspace {
    target: Target,
    package: Package,
}

/// A helper that runs.
struct Helper {
    pid: u32,
    folder: PathBuf,
}

impl Workspace {
    fn new() -> Workspace {
        let schema = "create table account (name text primary key, id serial);";
        Workspace { target: Target::new(), package: Package::new(&[("migrations/1_account.sql", schema)]) }
    }

    fn test(&self, name: &str) -> Rerun {
        self.target.test(name).package(&self.package).env("PTEST_HELPER", "on")
    }

    /// Runs the test of one insert; gives its backend.
    fn backend(&self) -> String {
        self.test(INSERTS).run().passed().lines("backend ")[0].to_owned()
    }

    /// Runs tests until there is a helper, and it has something to lend.
    fn with_helper(&self) -> Helper {
        wait_for("a helper", || {
            let backend = self.backend();
            (self.backend() == backend).then(|| self.helpers().pop())?
        })
    }

    /// The helpers of this workspace that listen.
    fn helpers(&self) -> Vec<Helper> {
        let workspace = self.target.path().parent().unwrap().to_str().unwrap().to_owned();
        let title = format!("ptest helper {workspace}\0");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let helper = |entry: fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let arguments = fs::read(entry.path().join("cmdline")).ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let mut variables = environment.split(|byte| *byte == 0);
            let folder = variables.find_map(|variable| variable.strip_prefix(b"PTEST_HELPER_CALL="))?;
            let folder = PathBuf::from(std::str::from_utf8(folder).ok()?);
            let listens = folder.join("helper").exists();
            (arguments.starts_with(title.as_bytes()) && listens).then_some(Helper { pid, folder })
        };
        processes.filter_map(helper).collect()
    }
}

impl Helper {
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid.to_string()]).stderr(Stdio::null()).status();
        assert!(status.unwrap().success(), "kill {signal} {}", self.pid);
    }

    fn is_alive(&self) -> bool {
        // A zombie has no arguments.
        fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|arguments| !arguments.is_empty())
    }
}

/// Waits half a minute at most.
#[track_caller]
fn wait_for<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        match there() {
            Some(found) => return found,
            None if begin.elapsed() > Duration::from_secs(30) => panic!("waited in vain for {what}"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn the_next_process_finds_the_backend_warm() {
    let workspace = Workspace::new();
    let helper = workspace.with_helper();
    let backends: BTreeSet<String> = (0..5).map(|_| workspace.backend()).collect();
    assert_eq!(backends.len(), 1, "{backends:?}");

    // Whoever runs all tests in one process borrows, too, and keeps what he has.
    let both = Rerun::of(&workspace.target.binary("it"), &["--exact", INSERTS, "helper::inner::inserts_too"]);
    let both = both.package(&workspace.package).env("PTEST_DATABASE_URL", "own").without("NEXTEST_EXECUTION_MODE");
    let outcome = both.threads(1).run();
    let found = outcome.passed().lines("backend ");
    assert!(found.len() == 2 && found.iter().all(|backend| backends.contains(*backend)), "{outcome}");
    assert!(!backends.contains(&workspace.backend()), "its connection ended with it");

    let off = || workspace.test(INSERTS).env("PTEST_HELPER", "off").run().passed().lines("backend ")[0].to_owned();
    assert_ne!(off(), off());
    assert!(helper.is_alive());
    assert_eq!(workspace.helpers().len(), 1);
}

#[test]
fn a_race_starts_one() {
    let workspace = Workspace::new();
    let go = workspace.package.path().join("go");
    let mut all: Vec<_> =
        (0..8).map(|_| workspace.test("helper::inner::waits").env("PTEST_IT_GO", &go).start()).collect();
    all.iter_mut().for_each(|one| drop(one.wait_for("in body")));
    fs::write(&go, "").unwrap();
    all.into_iter().for_each(|one| _ = one.finish().passed());
    wait_for("a helper", || workspace.helpers().pop());
    let backends: BTreeSet<String> = (0..3).map(|_| workspace.backend()).collect();
    assert_eq!((workspace.helpers().len(), backends.len()), (1, 1));
    let log = fs::read_dir(workspace.target.path().join("ptest")).unwrap().flatten();
    let logs = log.filter(|file| file.file_name().to_str().unwrap().starts_with("helper-")).count();
    assert_eq!(logs, 1);
}

#[test]
fn the_runner_does_not_see_it() {
    let workspace = Workspace::new();
    // A program that waits for the end of everything that the runner has started.
    let run = || {
        let mut command = Command::new("bash");
        command.args(["-c", r#""$0" "$@" 7>&1 33>&1 | cat"#]).arg(workspace.target.binary("it"));
        command.args(["--exact", INSERTS, "--ignored", "--nocapture"]).env("PTEST_HELPER", "on");
        command.env("PTEST_DATABASE_URL", "own").env("CARGO_MANIFEST_DIR", workspace.package.path());
        command.output().unwrap()
    };
    // The first starts a server too.
    run();
    if let Some(helper) = workspace.helpers().pop() {
        helper.signal("-KILL");
        wait_for("its end", || (!helper.is_alive()).then_some(()));
    }
    let begin = Instant::now();
    let output = run();
    let took = begin.elapsed();
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    let helper = wait_for("a helper", || workspace.helpers().pop());
    assert!(helper.is_alive() && took < Duration::from_secs(5), "{took:?}");
    // Its shell has the name already.
    wait_for("a session of its own", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", helper.pid)).unwrap();
        let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_owned();
        (session == helper.pid.to_string()).then_some(())
    });
}

#[test]
fn others_cannot_take_part() {
    let workspace = Workspace::new();
    let helper = workspace.with_helper();
    let backend = workspace.backend();
    assert_eq!(fs::metadata(&helper.folder).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&helper.folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(workspace.backend(), backend, "whoever can enter the folder could have put a socket there");
    fs::set_permissions(&helper.folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(workspace.backend(), backend);
}

#[test]
fn it_leaves_a_users_server_and_nothing_stays() {
    let server = ScratchServer::start("", "");
    let workspace = Workspace::new();
    let run = || {
        let outcome = workspace.test(INSERTS).env("PTEST_DATABASE_URL", server.tcp("postgres")).run();
        outcome.passed().lines("backend ")[0].to_owned()
    };
    run();
    let helper = wait_for("a helper", || workspace.helpers().pop());
    run();
    assert_eq!(run(), run());
    wait_for("its end", || (!helper.is_alive()).then_some(()));
    assert!(!helper.folder.exists(), "{}", helper.folder.display());
    assert_ne!(run(), run());
}

#[test]
fn it_gives_way_where_the_server_is_full() {
    let server = ScratchServer::start(
        "host all maker 127.0.0.1/32 trust",
        "create role maker login createdb; create database app;",
    );
    let workspace = Workspace::new();
    let packages = ["1", "2", "3"].map(|schema| {
        let schema = format!("create table account (name text primary key, id serial); -- {schema}");
        Package::new(&[("migrations/1_account.sql", &schema)])
    });
    let run = |package: &Package| {
        let test = workspace.target.test(INSERTS).package(package).env("PTEST_HELPER", "on");
        test.env("PTEST_DATABASE_URL", server.tcp("maker")).run()
    };
    packages.iter().for_each(|package| _ = run(package).passed());
    wait_for("a helper", || workspace.helpers().pop());
    server.superuser().batch_execute("alter role maker connection limit 2").unwrap();
    // The helper keeps the connections of the first two, and the third finds no room.
    packages.iter().for_each(|package| _ = run(package).passed());
}

#[test]
fn a_connection_that_the_server_has_ended_is_not_lent() {
    let server = ScratchServer::start("", "");
    let workspace = Workspace::new();
    let run = || {
        let outcome = workspace.test(INSERTS).env("PTEST_DATABASE_URL", server.tcp("postgres")).run();
        outcome.passed().lines("backend ")[0].to_owned()
    };
    let warm = wait_for("a warm backend", || Some(run()).filter(|backend| *backend == run()));
    let end = format!("select pg_terminate_backend({warm}, 10000)");
    server.superuser().batch_execute(&end).unwrap();
    assert_ne!(run(), warm);
}

#[test]
fn a_binary_that_cannot_be_run_again_does_without() {
    let workspace = Workspace::new();
    for _ in 0..2 {
        // It is no longer there when its test is over.
        workspace.target.binary("gone");
        let test = workspace.target.test_of("gone", "helper::inner::removes_its_binary");
        test.package(&workspace.package).env("PTEST_HELPER", "on").run().passed();
    }
    assert!(workspace.helpers().is_empty());
}

#[test]
fn a_failing_test_says_the_same() {
    let workspace = Workspace::new();
    workspace.with_helper();
    let says = |helper: &str| {
        let outcome = workspace.test("helper::inner::fails").env("PTEST_HELPER", helper).run();
        let text = outcome.failed().says("insert into account").text.clone();
        // Times, ports and numbers of processes are others in each run.
        text.chars().filter(|c| !c.is_ascii_digit() && *c != ' ' && *c != '.').collect::<String>()
    };
    assert_eq!(says("on"), says("off"));
}

mod inner {
    use super::*;

    #[ptest::db_test]
    #[ignore = "run by other tests"]
    async fn inserts(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        insert_and_tell(&pool, &database).await
    }

    #[ptest::db_test]
    #[ignore = "run by other tests"]
    async fn inserts_too(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        insert_and_tell(&pool, &database).await
    }

    async fn insert_and_tell(pool: &PgPool, database: &TestDatabase) -> sqlx::Result<()> {
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await?;
        println!("backend {backend}\nleased {}", database.name());
        assert_eq!(insert(pool).await?, 1, "a dirty start");
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by other tests"]
    async fn waits(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        assert_eq!(insert(&pool).await?, 1, "a dirty start");
        println!("leased {}\nin body", database.name());
        let go = std::env::var_os("PTEST_IT_GO").unwrap();
        while !std::path::Path::new(&go).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(&pool).await?;
        assert_eq!(found, 1);
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by other tests"]
    async fn removes_its_binary(pool: PgPool) -> sqlx::Result<()> {
        insert(&pool).await?;
        fs::remove_file(std::env::current_exe().unwrap()).unwrap();
        Ok(())
    }

    #[ptest::db_test]
    #[ignore = "run by other tests"]
    async fn fails(pool: PgPool) -> sqlx::Result<()> {
        insert(&pool).await?;
        insert(&pool).await.map(drop)
    }

    async fn insert(pool: &PgPool) -> sqlx::Result<i32> {
        sqlx::query_scalar("insert into account values ('admin') returning id").fetch_one(pool).await
    }
}

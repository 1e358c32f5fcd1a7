//! Tests after one another, beside one another, and after a kill.

use std::path::{Path, PathBuf};

use sqlx::{Connection, Executor};

use super::{Project, USERS, insert, names, open_here, runtime};
use crate::spec::Isolation;
use crate::sqlite::child::Child;

#[test]
fn a_copy_that_nobody_wrote_to_is_used_again() {
    let project = Project::new(&[USERS]);
    let by_connection = || {
        project.pass(async |test| {
            let mut conn = test.connection().await.unwrap();
            insert(&mut conn, "rolled back").await.unwrap();
            assert_eq!(names(&mut conn).await, ["rolled back"]);
            test.path()
        })
    };
    let by_pool = || {
        project.pass(async |test| {
            test.pool().await.unwrap();
            test.path()
        })
    };
    let first = by_connection();
    assert_eq!(by_connection(), first);
    // The copy that the pool gets is as unwritten; what the pool leaves is not looked at.
    assert_eq!(by_pool(), first);
    let second = by_connection();
    assert_ne!(second, first);
    assert!(!first.exists());
    assert_eq!(by_connection(), second);
}

#[test]
fn a_transaction_that_overflows_the_cache_leaves_nothing() {
    let project =
        Project::new(&[USERS, ("2_big.sql", "create table big (x); insert into big values (zeroblob(10000000))")]);
    let mut template = None;
    for _ in 0..2 {
        project.pass(async |test| {
            let mut conn = test.connection().await.unwrap();
            let content = std::fs::read(test.path()).unwrap();
            assert!(template.get_or_insert_with(|| content.clone()) == &content, "the copy differs");
            conn.execute("pragma cache_size = 10; update big set x = randomblob(10000000); drop table users")
                .await
                .unwrap();
            assert!(content != std::fs::read(test.path()).unwrap(), "the cache did not overflow");
        });
    }
    project.assert_clean();
}

#[test]
fn a_copy_without_a_journal_is_not_trusted() {
    let project =
        Project::new(&[USERS, ("2_big.sql", "create table big (x); insert into big values (zeroblob(10000000))")]);
    let (path, content) = project.pass(async |test| {
        let mut conn = test.connection().await.unwrap();
        let content = std::fs::read(test.path()).unwrap();
        let mode: String = sqlx::query_scalar("pragma journal_mode = off").fetch_one(&mut conn).await.unwrap();
        assert_eq!(mode, "off");
        conn.execute("pragma cache_size = 10; update big set x = randomblob(10000000); drop table users")
            .await
            .unwrap();
        (test.path(), content)
    });
    assert!(content != std::fs::read(path).unwrap(), "SQLite has rolled back without a journal");
    project.pass(async |test| {
        let _conn = test.connection().await.unwrap();
        assert!(content == std::fs::read(test.path()).unwrap(), "the next test got the broken copy");
    });
    project.assert_clean();
}

#[test]
fn threads_and_processes_never_share_a_slot() {
    let project = Project::new(&[USERS]);
    // They race for the template, too.
    let children: Vec<Child> =
        (0..4).map(|_| Child::run(module_path!(), "leases_slots", project.folder.path())).collect();
    children.into_iter().for_each(Child::passes);
}

#[test]
#[ignore = "run by `threads_and_processes_never_share_a_slot`"]
fn leases_slots() {
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..20).for_each(lease_alone));
        }
    });
}

/// Fails if anyone else has the same slot at the same time.
fn lease_alone(i: u32) {
    let runtime = runtime();
    let mut test = runtime.block_on(open_here());
    runtime.block_on(async {
        match i % 2 {
            0 => insert(&mut test.connection().await.unwrap(), "the same name").await.unwrap(),
            _ => insert(&test.pool().await.unwrap(), "the same name").await.unwrap(),
        }
    });
    let path = test.path();
    let (slot, _) = path.file_name().unwrap().to_str().unwrap().split_once('-').unwrap();
    let mine = path.with_file_name(format!("{slot}.in-use"));
    std::fs::File::create_new(&mine).expect("nobody else has the slot");
    std::thread::sleep(std::time::Duration::from_millis(1));
    std::fs::remove_file(&mine).unwrap();
    drop(runtime);
    test.give_back().unwrap();
}

#[test]
fn a_killed_connection_leaves_a_clean_slot() {
    killed("waits_with_a_connection");
}

#[test]
fn a_killed_pool_leaves_a_clean_slot() {
    let copy = killed("waits_with_a_pool");
    let wal = copy.with_extension("sqlite-wal");
    assert!(!wal.exists(), "the log of the killed process was left");
}

/// Kills a child in the middle of its test, and checks the next test. Returns the path of the killed test's copy.
fn killed(name: &str) -> PathBuf {
    let project = Project::new(&[USERS]);
    let mut child = Child::run(module_path!(), name, project.folder.path());
    let killed_copy = PathBuf::from(child.says("ready "));
    assert!(killed_copy.exists());
    if name.ends_with("pool") {
        assert!(killed_copy.with_extension("sqlite-wal").metadata().unwrap().len() > 0);
    }

    project.pass(async |test| {
        assert_ne!(slot_of(&test.path()), slot_of(&killed_copy), "the child still has its slot");
    });
    child.kill();

    // This process has kept the slot that it leased; the killed one's goes to another process.
    let next = Child::run(module_path!(), "finds_a_clean_slot", project.folder.path());
    next.tell(&slot_of(&killed_copy)).passes();
    assert!(!killed_copy.exists(), "the killed copy was left");
    killed_copy
}

#[test]
#[ignore = "run by `a_killed_connection_leaves_a_clean_slot`"]
fn waits_with_a_connection() {
    runtime().block_on(async {
        let mut test = open_here().await;
        let mut conn = test.connection().await.unwrap();
        insert(&mut conn, "killed").await.unwrap();
        // Spilled to the file: a kill leaves a copy that is neither old nor new.
        conn.execute("pragma cache_size = 10; create table big (x); insert into big values (randomblob(1000000))")
            .await
            .unwrap();
        println!("ready {}", test.path().display());
        std::future::pending::<()>().await;
    });
}

#[test]
#[ignore = "run by `a_killed_pool_leaves_a_clean_slot`"]
fn waits_with_a_pool() {
    runtime().block_on(async {
        let mut test = open_here().await;
        let pool = test.pool().await.unwrap();
        insert(&pool, "committed, then killed").await.unwrap();
        println!("ready {}", test.path().display());
        std::future::pending::<()>().await;
    });
}

#[test]
#[ignore = "run by `killed`, which writes the number of the slot that is expected"]
fn finds_a_clean_slot() {
    let mut expected = String::new();
    std::io::stdin().read_line(&mut expected).unwrap();
    runtime().block_on(async {
        let mut test = open_here().await;
        assert_eq!(slot_of(&test.path()), expected.trim());
        assert_eq!(names(&mut test.connection().await.unwrap()).await, [] as [&str; 0]);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_tests_leave_no_descriptor_no_thread_and_one_copy() {
    let project = Project::new(&[USERS]);
    Child::run(module_path!(), "runs_a_thousand_tests", project.folder.path()).passes();
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by `a_thousand_tests_leave_no_descriptor_no_thread_and_one_copy`"]
fn runs_a_thousand_tests() {
    let folder = std::env::current_dir().unwrap();
    let run = |i: u32| {
        let runtime = runtime();
        let test = runtime.block_on(async {
            let mut test = open_here().await;
            match i % 3 {
                0 => insert(&mut test.connection().await.unwrap(), "name").await.unwrap(),
                1 => insert(&test.pool().await.unwrap(), "name").await.unwrap(),
                _ => drop(test.connection().await.unwrap().execute("commit; drop table users").await.unwrap()),
            }
            test
        });
        drop(runtime);
        assert_eq!(test.give_back().is_err(), i % 3 == 2);
    };
    // What a closed pool leaves to its threads takes them a moment.
    let settled = |expected: Option<[usize; 3]>| {
        let count = |path: &Path| path.read_dir().unwrap().count();
        let fingerprint =
            folder.join("ptest/sqlite").read_dir().unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir());
        let look = || {
            [
                count(Path::new("/proc/self/fd")),
                count(Path::new("/proc/self/task")),
                count(&fingerprint.clone().unwrap()),
            ]
        };
        for _ in 0..200 {
            if Some(look()) == expected {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(if expected.is_some() { 10 } else { 1 }));
        }
        look()
    };
    (0..30).for_each(&run);
    let before = settled(None);
    let memory = resident_kb();
    (0..1000).for_each(&run);
    assert_eq!(settled(Some(before)), before, "descriptors, threads, files");
    let grown = resident_kb().saturating_sub(memory);
    assert!(grown < 4000, "1000 tests left {grown} kB of memory");
}

#[cfg(target_os = "linux")]
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_connection_to_a_database_of_its_own_commits() {
    let project = Project::new(&[USERS]);
    project.isolation(Isolation::Database).pass(async |test| {
        let (mut a, mut b) = (test.connection().await.unwrap(), test.connection().await.unwrap());
        let mut transaction = a.begin_with("BEGIN IMMEDIATE").await.unwrap();
        insert(&mut *transaction, "name").await.unwrap();
        assert_eq!(names(&mut b).await, [] as [&str; 0]);
        transaction.commit().await.unwrap();
        assert_eq!(names(&mut b).await, ["name"]);
        a.execute("vacuum").await.unwrap();
    });
    project.assert_clean();
}

#[test]
#[ignore = "a measurement: run it with --release --nocapture"]
fn cost_of_a_test() {
    for rows in [0, 30_000] {
        let fill = format!(
            "create table filled (id integer primary key, name text);
             with recursive r(i) as (select 1 union all select i + 1 from r where i < {rows})
             insert into filled select i, 'name of a row ' || i from r"
        );
        let tables: String =
            (0..20).map(|i| format!("create table t{i} (id integer primary key, name text unique);")).collect();
        let project = Project::new(&[USERS, ("2_tables.sql", &tables), ("3_filled.sql", &fill)]);
        let measure = |what: &str, test: &dyn Fn()| {
            let mut times: Vec<_> = (0..300)
                .map(|_| {
                    let start = std::time::Instant::now();
                    test();
                    start.elapsed()
                })
                .collect();
            times.sort();
            println!("{rows} rows, {what:24} p10 {:?}, p50 {:?}, p95 {:?}", times[30], times[150], times[285]);
        };
        measure("runtime only", &|| runtime().block_on(async {}));
        measure("connection", &|| project.pass(async |test| drop(test.connection().await.unwrap())));
        measure("connection, insert", &|| {
            project.pass(async |test| insert(&mut test.connection().await.unwrap(), "name").await.unwrap())
        });
        measure("connection, copy, insert", &|| {
            let (_, told) = project.run(async |test| {
                let mut conn = test.connection().await.unwrap();
                conn.execute("insert into users (name) values ('name'); commit").await.unwrap();
            });
            told.unwrap_err();
        });
        measure("pool", &|| project.pass(async |test| drop(test.pool().await.unwrap())));
        measure("pool, insert", &|| {
            project.pass(async |test| insert(&test.pool().await.unwrap(), "name").await.unwrap())
        });
    }
}

fn slot_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().split_once('-').unwrap().0.to_owned()
}

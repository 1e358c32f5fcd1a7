//! Real servers, each test's in a folder of its own, stopped at its end.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Instant;

use super::*;
use crate::error::Failure;

/// What a re-executed test binary learns from its parent.
const CHILD_FOLDER: &str = "PTEST_TEST_OWN_SERVER";

/// A `target/ptest` whose servers end with the test.
struct Target {
    folder: PathBuf,
    options: OwnOptions,
    _root: tempfile::TempDir,
}

impl Target {
    fn new() -> Target {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Target { folder: root.path().join("ptest"), options: options(), _root: root }
    }

    fn idle_after(mut self, timeout: Duration) -> Target {
        self.options.idle_timeout = timeout;
        self
    }

    fn ensure(&self) -> OwnServer {
        ensure(&Place::under(&self.folder).unwrap(), &self.options).unwrap_or_else(|e| panic!("{e}\n{:?}", e.help()))
    }

    fn home(&self) -> PathBuf {
        Place::under(&self.folder).unwrap().home(&self.options)
    }

    fn postmaster(&self) -> String {
        let text = fs::read_to_string(self.home().join("data/postmaster.pid")).unwrap();
        text.lines().next().unwrap().to_owned()
    }

    fn stop(&self) {
        if let Ok(folder) = fs::canonicalize(self.home()) {
            keeper::stop(&folder).unwrap();
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop();
        // The folders outside that stand in for it.
        for elsewhere in [fs::canonicalize(self.home()).ok(), address_folder(&self.home())].into_iter().flatten() {
            if !elsewhere.starts_with(&self.folder) && elsewhere.to_string_lossy().contains("/ptest-") {
                let _ = fs::remove_dir_all(elsewhere);
            }
        }
    }
}

/// The folder that the settings name for the socket.
fn address_folder(home: &Path) -> Option<PathBuf> {
    let settings = fs::read_to_string(home.join("postgresql.conf")).ok()?;
    let folder = settings.lines().find_map(|line| line.strip_prefix("unix_socket_directories = "))?;
    Some(folder.trim_matches('\'').into())
}

fn options() -> OwnOptions {
    let progress = |text: &str| println!("{text}");
    OwnOptions {
        pg_bin: None,
        data_dir: None,
        path: std::env::var_os("PATH"),
        idle_timeout: Duration::from_secs(600),
        progress,
    }
}

impl OwnServer {
    #[track_caller]
    fn query(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args(["-XqAt", "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        let output = psql.arg("-h").arg(&self.socket_dir).arg("-p").arg(self.port.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn runs(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
}

#[track_caller]
fn signal(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, "--", pid]).status().unwrap().success());
}

#[track_caller]
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        sleep(Duration::from_millis(20));
    }
}

/// This test binary, to run [`child`] in another process.
fn child_command(target: &Target) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "pg::server::own::tests::child", "--ignored", "--nocapture"]);
    command.env(CHILD_FOLDER, &target.folder);
    command
}

#[test]
#[ignore = "run by other tests, in a process of its own"]
fn child() {
    let folder = PathBuf::from(std::env::var_os(CHILD_FOLDER).expect("the folder"));
    let server = ensure(&Place::under(&folder).unwrap(), &options()).unwrap();
    println!("answer: {}", server.query("select pg_postmaster_start_time()"));
}

#[test]
fn many_processes_start_one_server() {
    let target = Target::new();
    let start = || child_command(&target).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..8).map(|_| start()).collect();
    let said: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();

    let answers: Vec<&str> = said.iter().filter_map(|said| said.split("answer: ").nth(1)?.lines().next()).collect();
    assert_eq!(answers.len(), 8, "{said:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(said.iter().filter(|said| said.contains("creating a PostgreSQL")).count(), 1, "{said:?}");
}

/// A test runner kills the process group of a test that takes too long, a user perhaps only the process.
#[test]
fn a_start_that_is_killed_midway_is_done_again() {
    let target = Target::new();
    let mut random = std::process::id();
    println!("seed {random}");
    for round in 0..4 {
        let mut child = child_command(&target).process_group(0).stdout(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sleep(Duration::from_millis(u64::from(random >> 16) % 1000));
        let killed = if round % 2 == 0 { format!("-{}", child.id()) } else { child.id().to_string() };
        signal("-KILL", &killed);
        child.wait().unwrap();

        assert_eq!(target.ensure().query("select 1"), "1");
        target.stop();
        fs::remove_dir_all(target.home().join("data")).unwrap();
    }
}

#[test]
fn the_server_is_as_described() {
    let target = Target::new();
    let server = target.ensure();
    for (setting, value) in [
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("TimeZone", "UTC"),
        ("listen_addresses", ""),
        ("fsync", "off"),
        ("autovacuum", "off"),
        ("jit", "off"),
        ("max_locks_per_transaction", "1024"),
    ] {
        // lc_collate is a setting no longer since version 16.
        let sql = match setting {
            "lc_collate" => "select datcollate from pg_database where datname = current_database()".into(),
            setting => format!("show {setting}"),
        };
        assert_eq!(server.query(&sql), value, "{setting}");
    }
    assert_eq!(server.query("select usesuper from pg_user where usename = current_user"), "t");
    assert_eq!(fs::metadata(&server.socket_dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(server.query("select lower('ÄÉ')"), "äé");
}

#[test]
fn a_killed_server_is_made_anew() {
    let target = Target::new();
    let server = target.ensure();
    server.query("create table kept ()");
    let first = target.postmaster();
    signal("-KILL", &first);

    let server = revive(&Place::under(&target.folder).unwrap(), &target.options).unwrap();
    assert_ne!(target.postmaster(), first);
    assert_eq!(server.query("select to_regclass('kept')"), "");
}

#[test]
fn a_server_whose_data_were_removed_is_stopped_and_made_anew() {
    let target = Target::new();
    target.ensure();
    let first = target.postmaster();
    fs::remove_dir_all(target.home().join("data")).unwrap();

    assert_eq!(target.ensure().query("select 1"), "1");
    assert!(!runs(&first));
}

#[test]
fn a_server_whose_socket_was_removed_is_stopped_and_started_again() {
    let target = Target::new();
    let server = target.ensure();
    server.query("create table kept ()");
    let first = target.postmaster();
    fs::remove_file(server.socket_dir.join(format!(".s.PGSQL.{}", server.port))).unwrap();

    let server = target.ensure();
    assert!(!runs(&first));
    assert_eq!(server.query("select to_regclass('kept')"), "kept");
}

#[test]
fn half_made_data_are_replaced() {
    let target = Target::new();
    fs::create_dir_all(target.home().join("data/base")).unwrap();
    fs::write(target.home().join("data/PG_VERSION"), "15\n").unwrap();
    fs::create_dir_all(target.home().join("new-1/base")).unwrap();

    assert_eq!(target.ensure().query("select 1"), "1");
    assert!(!target.home().join("new-1").exists());
}

#[test]
fn data_that_cannot_be_trusted_are_replaced() {
    let target = Target::new();
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 4] = [
        ("not stopped cleanly", |data| fs::remove_file(data.join("clean")).unwrap()),
        ("of another layout", |data| fs::write(data.join("clean"), "ptest data 0").unwrap()),
        ("of another version", |data| fs::write(data.join("PG_VERSION"), "9\n").unwrap()),
        ("damaged", |data| fs::remove_file(data.join("global/pg_control")).unwrap()),
    ];
    for (what, spoil) in spoil {
        target.ensure().query("create table kept ()");
        target.stop();
        spoil(&target.home().join("data"));
        assert_eq!(target.ensure().query("select to_regclass('kept')"), "", "{what}");
    }
}

#[test]
fn a_probe_that_a_killed_process_left_stops_nobody() {
    let target = Target::new();
    target.ensure().query("create table kept ()");
    target.stop();
    assert!(Command::new("mkfifo").arg(target.home().join("run/probe")).status().unwrap().success());

    assert_eq!(target.ensure().query("select to_regclass('kept')"), "kept");
}

#[test]
fn a_stale_pid_file_harms_nobody() {
    let target = Target::new();
    target.ensure();
    let pid_file = target.home().join("data/postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap();
    let server = target.postmaster();
    signal("-KILL", &server);
    wait_until("the keeper has noticed", || !keeper::is_alive(&target.home()).unwrap());
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(&pid_file, text.replacen(&server, &stranger.id().to_string(), 1)).unwrap();

    assert_eq!(target.ensure().query("select 1"), "1");
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn an_idle_server_stops_and_keeps_its_data() {
    let target = Target::new().idle_after(Duration::from_secs(1));
    let server = target.ensure();
    server.query("create table kept ()");
    let first = target.postmaster();
    drop(server);
    wait_until("the idle server has stopped", || !runs(&first));

    assert_eq!(target.ensure().query("select to_regclass('kept')"), "kept");
}

#[test]
fn a_server_in_use_is_not_idle() {
    let target = Target::new().idle_after(Duration::from_millis(400));
    let server = target.ensure();
    let first = target.postmaster();
    sleep(Duration::from_secs(3));
    assert_eq!(server.query("select 1"), "1");
    assert_eq!(target.postmaster(), first);
    drop(server);
    wait_until("the idle server has stopped", || !runs(&first));
}

/// Rule: what stops the idle server does so only under the lock that uses it.
#[test]
fn a_newcomer_waits_for_the_stop_of_an_idle_server() {
    let target = Target::new().idle_after(Duration::from_millis(400));
    drop(target.ensure());
    let first = target.postmaster();
    // Frozen, it does not obey the keeper, who therefore waits.
    signal("-STOP", &first);
    let use_lock = File::open(target.home().join("use.lock")).unwrap();
    let mut seen = 0;
    wait_until("the keeper holds the lock for good", || {
        seen = if use_lock.try_lock_shared().is_err() { seen + 1 } else { 0 };
        let _ = use_lock.unlock();
        seen == 15
    });
    std::thread::scope(|scope| {
        let newcomer = scope.spawn(|| target.ensure().query("select 1"));
        sleep(Duration::from_millis(500));
        let waits = !newcomer.is_finished();
        signal("-CONT", &first);
        assert_eq!(newcomer.join().unwrap(), "1");
        assert!(waits, "the newcomer used a server that was about to stop");
    });
    assert!(!runs(&first));
}

/// The same at random times, and with no freeze.
#[test]
fn a_newcomer_never_loses_its_server() {
    let target = Target::new().idle_after(Duration::from_millis(400));
    let seed = std::process::id();
    println!("seed {seed}");
    let mut random = seed;
    let mut started = std::collections::HashSet::new();
    for _ in 0..12 {
        let server = target.ensure();
        started.insert(server.query("select pg_postmaster_start_time() from pg_sleep(0.2)"));
        drop(server);
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sleep(Duration::from_millis(480 + u64::from(random >> 16) % 150));
    }
    assert!(started.len() > 1, "the server never stopped");
}

#[test]
fn a_removed_target_takes_its_server_along() {
    let target = Target::new().idle_after(Duration::from_secs(1));
    target.ensure();
    let first = target.postmaster();
    fs::remove_dir_all(&target.folder).unwrap();

    assert_eq!(target.ensure().query("select 1"), "1");
    assert_ne!(target.postmaster(), first);
    wait_until("the first server has stopped", || !runs(&first));
    assert_eq!(target.ensure().query("select 1"), "1");
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_lost_its_keeper_is_used_all_the_same() {
    let target = Target::new().idle_after(Duration::from_millis(400));
    let _server = target.ensure();
    let first = target.postmaster();
    let is_keeper =
        |process: &PathBuf| fs::read_to_string(process.join("cmdline")).is_ok_and(|c| c.contains("keeper.sh"));
    let keepers = || -> Vec<_> { processes(&target).into_iter().filter(is_keeper).collect() };
    let keeper =
        keepers().into_iter().find(|keeper| session(keeper).as_deref() == keeper.file_name().unwrap().to_str());
    signal("-KILL", keeper.expect("the leader of the session").file_name().unwrap().to_str().unwrap());

    assert_eq!(target.ensure().query("select 1"), "1");
    assert_eq!(target.postmaster(), first);
    // The server's parent waits on for the server.
    wait_until("the clock has ended with the keeper", || keepers().len() == 1);
    signal("-KILL", &first);
    wait_until("all have ended", || keepers().is_empty());
}

/// Every process of the server: those that work in its data folder.
#[cfg(target_os = "linux")]
fn processes(target: &Target) -> Vec<PathBuf> {
    let data = fs::canonicalize(target.home().join("data")).unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data)).collect()
}

#[cfg(target_os = "linux")]
fn session(process: &Path) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(3).map(str::to_owned)
}

/// A test runner waits for the descriptors that it gave to a test, and kills the test's process group.
#[test]
#[cfg(target_os = "linux")]
fn the_server_holds_nothing_of_the_test_that_started_it() {
    let target = Target::new();
    let ours = target.folder.with_file_name("ours");
    let mut shell = Command::new("bash");
    let child = child_command(&target);
    shell.args(["-c", "exec 7>>$OURS 27>>$OURS 127<$OURS; exec \"$0\" \"$@\""]).arg(child.get_program());
    shell.args(child.get_args()).envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let log = File::create(&ours).unwrap();
    let status = shell.env("OURS", &ours).stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(&ours).unwrap());

    let processes = processes(&target);
    assert!(processes.len() >= 6, "keeper, postmaster and its children: {processes:?}");
    let session_of_ours = session(Path::new("/proc/self"));
    for process in processes {
        let Ok(descriptors) = fs::read_dir(process.join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let file = fs::read_link(descriptor.path()).unwrap_or_default();
            assert_ne!(file, ours, "{}", descriptor.path().display());
        }
        assert_ne!(session(&process), session_of_ours, "{}", process.display());
    }
}

#[test]
fn a_long_or_odd_path_gets_a_short_socket() {
    let mut target = Target::new();
    target.folder = target.folder.join("it's an \"odd\" $HOME, `id`").join("long".repeat(30));
    let server = target.ensure();
    assert_eq!(server.query("select 1"), "1");
    assert!(server.socket_dir.as_os_str().len() < 50, "{}", server.socket_dir.display());
    assert_eq!(fs::metadata(&server.socket_dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_that_the_servers_user_cannot_reach_is_replaced_by_one_outside() {
    let target = Target::new();
    if Account::for_server(&target.home(), None).unwrap().me != 0 {
        return; // only root runs the server as another user
    }
    fs::set_permissions(target.folder.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    let server = target.ensure();
    assert_eq!(server.query("select 1"), "1");
    assert!(target.home().is_symlink());
    assert_ne!(fs::metadata(&server.socket_dir).unwrap().permissions().mode() & 0o077, 0o077);

    // The link is lost with a cleaned target/; the server is found again.
    let first = target.postmaster();
    fs::remove_dir_all(&target.folder).unwrap();
    target.ensure();
    assert_eq!(target.postmaster(), first);
}

/// What another user may have made where everybody may make folders: one of the name, as another or as the user that root's
/// server runs as, with links in it; or a link, or a file. Nothing of it is touched, and there is a server.
#[test]
fn a_name_that_another_user_has_taken_leads_to_another() {
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let victim = shared.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let mut target = Target::new();
    target.options.data_dir = Some(shared.path().to_owned());
    let named = shared.path().join(format!("ptest-{}", place::hash_of_link(&target.home())));
    let lay = |folder: &Path| {
        fs::create_dir(folder).unwrap();
        for name in ["postgresql.conf", "keeper.sh.new", "initdb.log", "log"] {
            std::os::unix::fs::symlink(&victim, folder.join(name)).unwrap();
        }
        fs::create_dir(folder.join("run")).unwrap();
        std::os::unix::fs::symlink(&victim, folder.join("run/bell")).unwrap();
    };
    let account = Account::for_server(&target.home(), None).unwrap();
    if account.me == 0 {
        for uid in [account.uid(), 12_345] {
            lay(&named);
            for path in [named.join("run"), named.clone()] {
                std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
            }
            check(&target, &named, uid);
            fs::remove_dir_all(&named).unwrap();
        }
    } else {
        println!("skipped: only root can make a folder of another user's");
    }
    // These every user can make.
    std::os::unix::fs::symlink(shared.path(), &named).unwrap();
    check(&target, &named, 1);
    fs::remove_file(&named).unwrap();
    fs::write(&named, "").unwrap();
    check(&target, &named, 2);

    fn check(target: &Target, named: &Path, what: u32) {
        let server = target.ensure();
        assert_eq!(server.query("select 1"), "1");
        let home = fs::canonicalize(target.home()).unwrap();
        assert!(home.starts_with(named.parent().unwrap()) && home != named, "{what}: {}", home.display());
        // By the link it is found again.
        let first = target.postmaster();
        drop(server);
        target.ensure();
        assert_eq!(target.postmaster(), first);
        target.stop();
        fs::remove_dir_all(home).unwrap();
        fs::remove_file(target.home()).unwrap();
        assert_eq!(fs::read_to_string(named.with_file_name("victim")).unwrap(), "precious", "{what}");
    }
}

#[test]
fn a_wrong_folder_of_binaries_is_named() {
    let mut target = Target::new();
    target.options.pg_bin = Some("/nonexistent/bin".into());
    let error = ensure(&Place::under(&target.folder).unwrap(), &target.options).unwrap_err();
    assert_eq!(error.to_string(), "PTEST_PG_BIN names `/nonexistent/bin`, where there is no `initdb`");
}

#[test]
fn a_machine_without_postgresql_is_told_what_to_install() {
    let error = OwnServerError::NotInstalled { passed_over: vec!["/old/bin: it is PostgreSQL 9.6".into()] };
    assert_eq!(error.to_string(), "no PostgreSQL server is installed\n  passed over: /old/bin: it is PostgreSQL 9.6");
    let help = error.help().unwrap();
    for expected in ["apt-get install postgresql", "postgresql-server", "brew install", "PTEST_DATABASE_URL", "SQLite"]
    {
        assert!(help.contains(expected), "{help}");
    }
}

#[test]
fn a_failing_initdb_is_quoted() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut target = Target::new();
    let bin = target.folder.with_file_name("bin");
    fs::create_dir(&bin).unwrap();
    for (program, text) in [
        ("postgres", "echo 'postgres (PostgreSQL) 17.1'"),
        ("initdb", "echo 'initdb: error: could not write: No space left on device' >&2; exit 1"),
        ("pg_ctl", ""),
    ] {
        fs::write(bin.join(program), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    target.options.pg_bin = Some(bin);
    target.options.progress = |text| SAID.lock().unwrap().push(text.to_owned());
    let error = ensure(&Place::under(&target.folder).unwrap(), &target.options).unwrap_err();
    assert!(error.to_string().ends_with("initdb said:\ninitdb: error: could not write: No space left on device"));
    assert!(error.help().unwrap().contains("disk is full"));
    assert!(SAID.lock().unwrap()[0].contains("creating a PostgreSQL 17.1 server in"));
}

#[test]
fn its_data_are_where_the_user_says() {
    let chosen = tempfile::tempdir().unwrap();
    fs::set_permissions(chosen.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut target = Target::new();
    target.options.data_dir = Some(chosen.path().to_owned());
    let server = target.ensure();
    let home = fs::canonicalize(target.home()).unwrap();
    assert!(home.starts_with(chosen.path()) && home.join("data/PG_VERSION").exists(), "{}", home.display());
    assert_eq!(target.ensure().port, server.port, "a second server");
    // The server of the default place is another.
    target.options.data_dir = None;
    assert_ne!(target.ensure().port, server.port);
    target.stop();
    target.options.data_dir = Some(chosen.path().to_owned());
}

#[test]
fn the_texts_of_errors() {
    let log = || "FATAL: something".to_owned();
    let denied = || std::io::ErrorKind::PermissionDenied.into();
    let folder = || PathBuf::from("/app/target/ptest/server");
    let errors = [
        OwnServerError::Io { action: "create", path: folder(), source: denied() },
        OwnServerError::Io { action: "write", path: folder(), source: std::io::ErrorKind::StorageFull.into() },
        OwnServerError::Unfit { path: folder(), reason: "its path is too long for a socket".to_owned() },
        OwnServerError::NotInstalled { passed_over: vec!["/usr/lib/postgresql/12/bin (version 12.22)".to_owned()] },
        OwnServerError::PgBin { folder: "/opt/pg".into(), reason: "there is no `initdb`".to_owned() },
        OwnServerError::NoAccount,
        OwnServerError::Spawn { program: "/opt/pg/postgres".into(), account: "postgres".to_owned(), source: denied() },
        OwnServerError::Initdb { version: "15.18".to_owned(), output: "No space left on device".to_owned() },
        OwnServerError::Start { version: "15.18".to_owned(), log: log() },
        OwnServerError::Slow { version: "15.18".to_owned(), after: Duration::from_secs(60), log: log() },
        OwnServerError::Locked { path: "/app/target/ptest/server/keeper.lock".into(), after: Duration::from_secs(60) },
    ];
    let texts = errors.map(|error| format!("{:?}", crate::Error::from(crate::pg::server::ServerError::Own(error))));
    insta::assert_snapshot!(texts.join("\n\n"));
}

//! The server that a URL names: found by every way of authentication, or an error that says where the URL came from.

mod errors;
mod shared;

use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun, server_version};
use crate::scratch_server::ScratchServer;

const NAME: &str = "select current_user";

/// A test on the server of this URL.
fn on(url: &str, statements: &[&str]) -> Rerun {
    Rerun::test(ANSWERS).package(&Package::new(&[])).statements(statements).env("PTEST_DATABASE_URL", url)
}

impl ScratchServer {
    /// Its address over its socket.
    pub(crate) fn unix(&self, user: &str) -> String {
        let folder = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{folder}:{}/app", self.port)
    }
}

#[test]
fn every_authentication_over_tcp_and_sockets() {
    let hba = "all all trusted trust\nall all plain password\nall all hashed md5\nall all scrambled scram-sha-256";
    let hba: String = hba.lines().map(rule).collect();
    let server = ScratchServer::start(
        &hba,
        "create role trusted login createdb;
         create role plain login createdb password 'let me: in/?';
         set password_encryption = 'md5';
         create role hashed login createdb password 'let me: in/?';
         set password_encryption = 'scram-sha-256';
         create role scrambled login createdb password 'let me: in/?';",
    );
    for user in ["trusted", "plain", "hashed", "scrambled"] {
        let with_password = if user == "trusted" { user.to_owned() } else { format!("{user}:let%20me%3A%20in%2F%3F") };
        for url in [server.tcp(&with_password), server.unix(&with_password)] {
            // Each user has databases of its own, where it may create what it likes.
            let statements = [NAME, "create table public.mine ()", "insert into mine default values"];
            assert_eq!(on(&url, &statements).run().passed().answers(), [user], "{url}");
        }
        if user == "trusted" {
            continue;
        }
        for (password, says) in [(":hunter2", "SQLSTATE 28P01"), ("", "the server asks for a password")] {
            for url in [server.tcp(&format!("{user}{password}")), server.unix(&format!("{user}{password}"))] {
                let outcome = on(&url, &[NAME]).run();
                outcome.failed().says("(from PTEST_DATABASE_URL)").says(says).never_says("hunter2");
                outcome
                    .says("help: correct the user or the password in PTEST_DATABASE_URL")
                    .says(&format!(" at {user}@"));
            }
        }
    }
}

/// A line of `pg_hba.conf` for the socket, and one for TCP.
pub(crate) fn rule(line: &str) -> String {
    let rest = line.split_once(' ').unwrap().1;
    let (database, rest) = rest.split_once(' ').unwrap();
    let (user, method) = rest.split_once(' ').unwrap();
    format!("local {database} {user} {method}\nhost {database} {user} 127.0.0.1/32 {method}\n")
}

#[test]
fn a_user_who_may_only_create_databases() {
    let server =
        ScratchServer::start(&rule("all all maker trust"), "create role maker login createdb; create database app;");
    for (url, tests) in [
        (server.unix("maker"), "wire::"),
        (server.tcp("maker"), "parameters::postgres::"),
        (server.unix("maker"), "isolation::one::"),
        (server.tcp("maker"), "sequences::"),
    ] {
        let binary = std::env::current_exe().unwrap();
        let output = std::process::Command::new(binary).arg(tests).env("PTEST_DATABASE_URL", &url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    // The database that the URL names is as it was.
    let sql = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    let mut app = postgres::Client::connect(&server.tcp("maker"), postgres::NoTls).unwrap();
    assert_eq!(app.query_one(sql, &[]).unwrap().get::<_, i64>(0), 0);
    let ptests =
        |name: &String| name.starts_with("ptest_") || ["app", "postgres", "template0", "template1"].contains(&&**name);
    assert!(server.databases().iter().all(ptests), "{:?}", server.databases());
}

#[test]
fn without_a_database_postgres() {
    let server = ScratchServer::start(
        &rule("all all maker trust"),
        "create role maker login createdb; create database app; drop database postgres;",
    );
    assert_eq!(on(&server.tcp("maker"), &[NAME]).run().passed().answers(), ["maker"]);
}

#[test]
fn where_rules_keep_the_user_out_of_postgres() {
    let hba = rule("all postgres maker reject") + &rule("all all maker trust");
    let server = ScratchServer::start(&hba, "create role maker login createdb; create database app;");
    assert_eq!(on(&server.tcp("maker"), &[NAME]).run().passed().answers(), ["maker"]);
}

#[test]
fn a_kill_in_a_statement_frees_the_slot() {
    // Before version 14 a server does not look whether its client is still there.
    if server_version() < 14 {
        return;
    }
    let server = ScratchServer::start(&rule("all all maker trust"), "create role maker login createdb;");
    let url = server.tcp("maker").replace("/app", "/postgres");
    // The helper lends what it has, whichever slots are free.
    let name = on(&url, &["select current_database()"]).env("PTEST_HELPER", "off").run().passed().answers();
    let running = on(&url, &["select pg_sleep(600)"]).start();
    let mut superuser = server.superuser();
    let sleeping = "select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
    while superuser.query(sleeping, &[]).unwrap().is_empty() {}
    running.kill();
    let again = || on(&url, &["select current_database()"]).env("PTEST_HELPER", "off").run().passed().answers();
    let freed = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        again() == name
    });
    assert!(freed, "{name:?} is still held");
}

#[test]
fn two_suites_at_once_on_one_server() {
    let server = ScratchServer::start("", "");
    let url = server.tcp("postgres").replace("/app", "/postgres");
    let binary = std::env::current_exe().unwrap();
    let run = || {
        let mut command = std::process::Command::new(&binary);
        command.args(["parameters::postgres::a_", "isolation::t", "--test-threads=4"]).env("PTEST_DATABASE_URL", &url);
        std::thread::spawn(move || command.output().unwrap())
    };
    for run in [run(), run()] {
        let output = run.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_url_in_a_file() {
    let server = ScratchServer::start("", "");
    let url = server.tcp("postgres").replace("/app", "/postgres");
    let package = Package::new(&[(".env", &format!("OTHER=1\nDATABASE_URL={url}\n"))]);
    let port = ["show port"];
    let run = || {
        let mut run = Rerun::test(ANSWERS).package(&package).statements(&port);
        run.command.current_dir(package.path());
        run.without("PTEST_DATABASE_URL").without("DATABASE_URL")
    };
    let expected = url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0;
    assert_eq!(run().run().passed().answers(), [expected]);
    assert_ne!(run().env("PTEST_DATABASE_URL", "own").run().passed().answers(), [expected]);
    // Of another scheme: not meant for ptest.
    for other in ["mysql://root:secret@localhost/app", "sqlite://app.db"] {
        assert_ne!(run().env("DATABASE_URL", other).run().passed().answers(), [expected], "{other}");
    }
}

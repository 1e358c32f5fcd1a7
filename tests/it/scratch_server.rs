//! A PostgreSQL server as a user has one: with a port, its own rules of who may connect, and an end.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postgres::{Client, Config, NoTls};
use tempfile::TempDir;

pub(crate) struct ScratchServer {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    server: Child,
}

impl ScratchServer {
    /// Starts a server. Its superuser `postgres` needs no password; others connect as `hba` says (lines of
    /// `pg_hba.conf`), and `sql` makes them.
    pub(crate) fn start(hba: &str, sql: &str) -> ScratchServer {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let mut initdb = unprivileged(&bin().join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"]);
        let output = initdb.arg(&data).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.path().join("log");
        let rules = folder.path().join("hba");
        fs::write(&rules, format!("local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n{hba}\n")).unwrap();
        let mut server = unprivileged(&bin().join("postgres"));
        for setting in [
            format!("port={port}"),
            format!("unix_socket_directories={}", folder.path().display()),
            format!("hba_file={}", rules.display()),
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=off".to_owned(),
            "autovacuum=off".to_owned(),
            "max_prepared_transactions=5".to_owned(),
            "wal_level=logical".to_owned(),
        ] {
            server.args(["-c", &setting]);
        }
        let log = File::create(log).unwrap();
        server.arg("-D").arg(&data).current_dir(folder.path());
        let server = server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut scratch = ScratchServer { folder, port, server };
        let mut superuser = scratch.wait();
        // One at a time: a database is not created in a transaction.
        sql.split(';').for_each(|statement| superuser.batch_execute(statement).unwrap());
        scratch
    }

    /// Its address over TCP for this user, with the password if any: `user` or `user:password`.
    pub(crate) fn tcp(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/app", self.port)
    }

    /// A connection of the superuser.
    pub(crate) fn superuser(&self) -> Client {
        self.connect_to("template1").unwrap()
    }

    /// The names of its databases, in order.
    pub(crate) fn databases(&self) -> Vec<String> {
        let sql = "select datname::text from pg_database order by 1";
        self.superuser().query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// A connection of the superuser to one database.
    pub(crate) fn connect_to(&self, database: &str) -> Result<Client, postgres::Error> {
        let mut config = Config::new();
        config.user("postgres").dbname(database).host_path(self.folder.path()).port(self.port).connect(NoTls)
    }

    fn wait(&mut self) -> Client {
        loop {
            if let Ok(client) = self.connect_to("template1") {
                return client;
            }
            if let Some(status) = self.server.try_wait().unwrap() {
                panic!("{status}: {}", fs::read_to_string(self.folder.path().join("log")).unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for ScratchServer {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// A command that runs as somebody whom PostgreSQL serves.
pub(crate) fn unprivileged(program: &Path) -> Command {
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The folder of PostgreSQL's programs.
fn bin() -> PathBuf {
    let named = std::env::var_os("PTEST_PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<PathBuf> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path().join("bin")))
        .collect();
    installed.sort();
    let found = named.into_iter().chain(std::env::split_paths(&path)).chain(installed.into_iter().rev());
    found.into_iter().find(|folder| folder.join("initdb").exists()).expect("PostgreSQL is installed")
}

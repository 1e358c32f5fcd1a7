//! What can go wrong with ptest's own server, and what the user can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Failure;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnServerError {
    #[error("cannot {action} `{}`", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("`{}` cannot hold a PostgreSQL server: {reason}", path.display())]
    Unfit { path: PathBuf, reason: String },
    #[error("no PostgreSQL server is installed{}", list(passed_over))]
    NotInstalled { passed_over: Vec<String> },
    #[error("PTEST_PG_BIN names `{}`, where {reason}", folder.display())]
    PgBin { folder: PathBuf, reason: String },
    #[error("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")]
    NoAccount,
    #[error("cannot run `{}` as {account}", program.display())]
    Spawn { program: PathBuf, account: String, source: io::Error },
    #[error("cannot create the data of a PostgreSQL {version} server; initdb said:\n{output}")]
    Initdb { version: String, output: String },
    #[error("the PostgreSQL {version} server does not start; its log says:\n{log}")]
    Start { version: String, log: String },
    #[error("the PostgreSQL {version} server is not ready after {} s; its log says:\n{log}", after.as_secs())]
    Slow { version: String, after: Duration, log: String },
    #[error("another process has held `{}` for {} s", path.display(), after.as_secs())]
    Locked { path: PathBuf, after: Duration },
}

/// Turns an I/O error into one that says what was to be done with which file.
pub(super) fn io_at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OwnServerError {
    move |source| OwnServerError::Io { action, path: path.to_owned(), source }
}

fn list(passed_over: &[String]) -> String {
    passed_over.iter().map(|found| format!("\n  passed over: {found}")).collect()
}

const OTHER_SERVER: &str = "set PTEST_DATABASE_URL or DATABASE_URL to a PostgreSQL server that runs already";
const INSTALL: &str = "install PostgreSQL 13 or newer; ptest runs it by itself, so it need not be started:
  Debian, Ubuntu: apt-get install postgresql
  Fedora, RHEL:   dnf install postgresql-server
  Alpine:         apk add postgresql
  macOS:          brew install postgresql
or set PTEST_PG_BIN to the folder that holds `initdb` and `postgres`";
const NO_SPACE: &str =
    "the disk is full: free some space and run the test again; `cargo clean` removes target/ptest too";

impl Failure for OwnServerError {
    fn help(&self) -> Option<String> {
        let help = match self {
            OwnServerError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "another user made it (root, perhaps): remove `target/ptest` as that user, or {OTHER_SERVER}"
                ),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NO_SPACE.into(),
                _ => return None,
            },
            OwnServerError::Unfit { .. } => OTHER_SERVER.into(),
            OwnServerError::NotInstalled { .. } => {
                format!("{INSTALL}\nor {OTHER_SERVER}\n(tests with SQLite parameters need no server)")
            }
            OwnServerError::PgBin { .. } => {
                "it must hold `initdb`, `postgres` and `pg_ctl`, as /usr/lib/postgresql/<version>/bin does".into()
            }
            OwnServerError::NoAccount => format!("add a user named `postgres`, or {OTHER_SERVER}"),
            OwnServerError::Spawn { .. } => {
                format!("that user must be able to reach and execute it; if root may not change its user here, {OTHER_SERVER}")
            }
            OwnServerError::Initdb { output: said, .. }
            | OwnServerError::Start { log: said, .. }
            | OwnServerError::Slow { log: said, .. } => {
                if said.contains("No space left on device") {
                    NO_SPACE.into()
                } else if said.contains("effective user ID") {
                    format!("the current user has no line in /etc/passwd, which PostgreSQL wants: add one, or {OTHER_SERVER}")
                } else {
                    format!("remove `target/ptest` and run the test again; if that does not help, {OTHER_SERVER}")
                }
            }
            OwnServerError::Locked { .. } => {
                "it starts or stops the server and hangs: end it (`fuser` with that file names it), and run the test again".into()
            }
        };
        Some(help)
    }
}

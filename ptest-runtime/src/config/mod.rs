//! The environment: the only reader of it.
//!
//! | variable | what it says | when it is not set |
//! |---|---|---|
//! | `PTEST_DATABASE_URL` | The server to test on: a `postgres://` URL, or `own` for one that ptest starts. The URL names a server; ptest makes its own databases there and never touches the one that is named. | `DATABASE_URL` decides |
//! | `DATABASE_URL` | The same, except for `own`. A URL of another scheme is ignored. | ptest starts a server |
//! | what `url` of `ptest::database!` names | The server of that database, instead of `DATABASE_URL`. | `DATABASE_URL` decides |
//! | `PTEST_SINGLE_DATABASE` | The name of the one database that ptest may use on that server, for a user [without CREATEDB](#without-createdb). It must be empty at first. | ptest makes its own databases |
//! | `PTEST_PG_BIN` | The folder of `initdb` and `postgres`, for a server that ptest starts. | looked for in `PATH` and the usual folders |
//! | `PTEST_DATA_DIR` | Data directory of the server that ptest starts. A RAM disk (`/dev/shm`) makes `isolation = "database"` cheaper; each database takes eight megabytes there until it is dropped. | below `target/ptest` |
//! | `PTEST_IDLE_TIMEOUT` | How long a server that ptest started stays when nobody uses it: `90s`, `10m`, `2h`, `0` or `never`. | `10m` |
//! | `PTEST_KEEP` | Keeps databases for a day so that you can inspect them: `failed` those of failing tests, `all` every test's. | none is kept |
//! | `PTEST_LOG` | `sql`: a passing test prints its last statements too. | only a failing test does |
//! | `PTEST_AUDIT` | Severities of findings for a whole run, such as `open_transaction=error,leaked_session=off`. The attribute takes precedence. | the attribute's defaults |
//! | `PTEST_HELPER` | Use of [the helper](#the-helper), which keeps connections open between test processes: `off` does without; `on` also gives connections back under runners other than nextest that give each test a process. | tests borrow, and give back under nextest |
//! | `PATH` | Where `postgres` and `pg_config` are looked for. | the usual folders only |
//! | `CARGO_MANIFEST_DIR` | Set by Cargo and nextest: the package's folder. | the package's folder when it was compiled |
//! | `NEXTEST_EXECUTION_MODE` | Set by nextest: `process-per-test`. | tests keep their connections in their process |
//! | `NEXTEST_TEST_GLOBAL_SLOT` | Set by nextest: the slot to try first. | `0`, and the runner is `cargo test` |
//! | `TMPDIR` | Where the sockets of tests are, and ptest's files when it finds no `target` folder. | `/dev/shm` for the sockets where there is one, else `/tmp` |
//!
//! The two URLs are looked up in the environment and then in `.env`, the nearest one from the current directory
//! upwards, as sqlx reads it. The environment wins over `.env` for the same variable, even when it is empty there;
//! `PTEST_DATABASE_URL` wins over `DATABASE_URL`, wherever each of them stands. An empty variable counts as not set.

mod dotenv;
mod helper;
mod package;
mod server;
mod target;
mod url;
mod values;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) use self::package::defaults;
pub(crate) use self::url::RedactedUrl;
use crate::audit::{Misspelled, Severities};
use crate::error::Failure;

/// What the environment says, read once per process.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: ServerChoice,
    /// `PTEST_SINGLE_DATABASE`.
    pub(crate) single_database: Option<String>,
    /// `PTEST_PG_BIN`.
    pub(crate) pg_bin: Option<PathBuf>,
    /// `PTEST_DATA_DIR`.
    pub(crate) data_dir: Option<PathBuf>,
    /// `PATH`.
    pub(crate) path: Option<OsString>,
    /// How long an unused server stays; `None` is for ever.
    pub(crate) idle_timeout: Option<Duration>,
    /// ptest's own folder, `target/ptest`; not necessarily there yet.
    pub(crate) target_dir: PathBuf,
    /// The slot to try first.
    pub(crate) slot_hint: u32,
    /// Whether each test is a process of its own, as nextest has it.
    pub(crate) process_per_test: bool,
    /// How a user runs tests by name.
    pub(crate) runner: &'static str,
    /// `PTEST_KEEP`.
    pub(crate) keep: Keep,
    /// `PTEST_LOG=sql`: what tests do is printed also when they pass.
    pub(crate) log_sql: bool,
    /// `PTEST_AUDIT`.
    pub(crate) audit: Severities,
    /// `PTEST_HELPER`.
    pub(crate) helper: UseOfHelper,
}

/// What this process does with the [helper](crate::helper).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseOfHelper {
    Off,
    /// Borrows, and keeps what it has for its next tests.
    Borrow,
    /// Gives back with each test.
    GiveBack,
}

/// Whose database is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    #[default]
    None,
    Failed,
    All,
}

impl Keep {
    /// Whether the database of a test is kept.
    pub(crate) fn wants(self, failed: bool) -> bool {
        self == Keep::All || (self == Keep::Failed && failed)
    }
}

/// Which server the tests run on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ServerChoice {
    /// One that ptest starts.
    Own,
    /// The user's; the URL has its password.
    Url { url: String, origin: Origin },
}

/// Where a URL was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    variable: &'static str,
    file: Option<PathBuf>,
}

const PTEST_URL: &str = "PTEST_DATABASE_URL";
const URL: &str = "DATABASE_URL";
const SINGLE_DATABASE: &str = "PTEST_SINGLE_DATABASE";
const IDLE_TIMEOUT: &str = "PTEST_IDLE_TIMEOUT";
const KEEP: &str = "PTEST_KEEP";
const LOG: &str = "PTEST_LOG";
const GLOBAL_SLOT: &str = "NEXTEST_TEST_GLOBAL_SLOT";
const AUDIT: &str = "PTEST_AUDIT";
const HELPER: &str = "PTEST_HELPER";
/// Set by ptest itself, for a process that it starts as the helper: the folder of its socket.
pub(crate) const HELPER_CALL: &str = "PTEST_HELPER_CALL";
const EXECUTION_MODE: &str = "NEXTEST_EXECUTION_MODE";
const TEMP_DIR: &str = "TMPDIR";
const SHARED_MEMORY: &str = "/dev/shm";
const MANIFEST_DIR: &str = "CARGO_MANIFEST_DIR";
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// An executable of the workspace that ptest works for, where this process is none of it.
static STAND_IN: OnceLock<PathBuf> = OnceLock::new();

/// Has ptest work for the workspace with this target folder, whatever executable runs.
pub(crate) fn stand_in(target: &Path) {
    // A folder that is not there yet has no tag of Cargo's: `deps` tells as well.
    let _ = STAND_IN.set(target.join("debug/deps/cargo-ptest"));
}

impl Config {
    /// The configuration of this process.
    pub(crate) fn get() -> crate::Result<&'static Config> {
        static CONFIG: OnceLock<Config> = OnceLock::new();
        if let Some(config) = CONFIG.get() {
            return Ok(config);
        }
        let cwd = std::env::current_dir().unwrap_or_default();
        let exe = STAND_IN.get().cloned().unwrap_or_else(|| std::env::current_exe().unwrap_or_default());
        let config = Config::read(|name| std::env::var_os(name), &cwd, &exe)?;
        Ok(CONFIG.get_or_init(|| config))
    }

    /// The server of a database for which a variable of its own may name it, before `DATABASE_URL` does.
    pub(crate) fn server_of(&self, variable: Option<&'static str>) -> Result<ServerChoice, ConfigError> {
        let Some(variable) = variable else { return Ok(self.server.clone()) };
        let cwd = std::env::current_dir().unwrap_or_default();
        server::named(&|name| std::env::var_os(name), &cwd, &[PTEST_URL, variable, URL])
    }

    fn read(vars: impl Fn(&str) -> Option<OsString>, cwd: &Path, exe: &Path) -> Result<Config, ConfigError> {
        let set = |name| vars(name).filter(|value| !value.is_empty());
        let manifest_dir = set(MANIFEST_DIR).map(PathBuf::from);
        let temp_dir = temp_dir_of(set(TEMP_DIR));
        Ok(Config {
            server: server::named(&vars, cwd, &[PTEST_URL, URL])?,
            single_database: set(SINGLE_DATABASE).map(|name| values::text(SINGLE_DATABASE, name)).transpose()?,
            pg_bin: set("PTEST_PG_BIN").map(|dir| cwd.join(dir)),
            data_dir: set("PTEST_DATA_DIR").map(|dir| cwd.join(dir)),
            path: set("PATH"),
            idle_timeout: set(IDLE_TIMEOUT)
                .map_or(Ok(Some(DEFAULT_IDLE_TIMEOUT)), |value| values::idle_timeout(IDLE_TIMEOUT, &value))?,
            target_dir: target::dir(exe, manifest_dir.as_deref(), &temp_dir),
            process_per_test: set(GLOBAL_SLOT).is_some(),
            runner: if set(GLOBAL_SLOT).is_some() { "cargo nextest run" } else { "cargo test" },
            keep: values::one_of(KEEP, set(KEEP), &[("failed", Keep::Failed), ("all", Keep::All)])?
                .unwrap_or(Keep::None),
            log_sql: values::one_of(LOG, set(LOG), &[("sql", true)])?.unwrap_or(false),
            audit: set(AUDIT).map_or(Ok(Severities::new()), |value| values::severities(AUDIT, value))?,
            helper: match values::one_of(
                HELPER,
                set(HELPER),
                &[("off", UseOfHelper::Off), ("on", UseOfHelper::GiveBack)],
            )? {
                Some(helper) => helper,
                None if set(EXECUTION_MODE).is_some_and(|mode| mode == "process-per-test") => UseOfHelper::GiveBack,
                None => UseOfHelper::Borrow,
            },
            slot_hint: set(GLOBAL_SLOT).and_then(|slot| slot.to_str()?.parse().ok()).unwrap_or(0),
        })
    }
}

/// The folder of the helper's socket, if this process was started as the helper.
pub(crate) fn helper_call() -> Option<PathBuf> {
    std::env::var_os(HELPER_CALL).map(PathBuf::from)
}

/// The arguments with which this process's binary runs its one test again; `None`: it runs others, too, or nobody can tell.
pub(crate) fn this_test_again() -> Option<Vec<OsString>> {
    helper::this_test_again(std::env::args_os().skip(1))
}

/// The folder of a `Cargo.toml`: where the package is now, else where it was compiled (`compiled`).
///
/// The two differ when nextest runs an archive with `--workspace-remap`.
pub(crate) fn manifest_dir(compiled: &str) -> PathBuf {
    manifest_dir_of(compiled, std::env::var_os(MANIFEST_DIR))
}

/// The folder for the folders of sockets. Making and removing files is cheap in memory, and on a disk it is not: ext4 takes
/// half a millisecond when many were removed a moment ago.
pub(crate) fn socket_dir() -> PathBuf {
    match std::env::var_os(TEMP_DIR).filter(|dir| !dir.is_empty()) {
        None if cfg!(target_os = "linux") && Path::new(SHARED_MEMORY).is_dir() => SHARED_MEMORY.into(),
        set => temp_dir_of(set),
    }
}

fn temp_dir_of(set: Option<OsString>) -> PathBuf {
    set.filter(|dir| !dir.is_empty()).unwrap_or_else(|| "/tmp".into()).into()
}

fn manifest_dir_of(compiled: &str, now: Option<OsString>) -> PathBuf {
    now.map(PathBuf::from).filter(|dir| dir.is_dir()).unwrap_or_else(|| PathBuf::from(compiled))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            None => f.write_str(self.variable),
            Some(file) => write!(f, "{} in {}", self.variable, file.display()),
        }
    }
}

impl fmt::Debug for ServerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerChoice::Own => f.write_str("Own"),
            ServerChoice::Url { url, origin } => write!(f, "Url({} from {origin})", RedactedUrl(url)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{origin} is not a valid URL: `{url}`")]
    Url { url: String, origin: Origin, source: self::url::UrlError },
    #[error("{origin} is not the URL of a PostgreSQL server: `{url}`")]
    Scheme { url: String, origin: Origin },
    #[error("{variable} is not valid Unicode")]
    NotUnicode { variable: &'static str },
    #[error("`{value}` is not a valid value for {variable}")]
    Value { variable: &'static str, value: String, expected: Cow<'static, str> },
    #[error("`{text}` is not a valid value for {variable}")]
    Audit { variable: &'static str, text: String, source: Misspelled },
    #[error("cannot read `{}`", path.display())]
    DotEnv { path: PathBuf, source: std::io::Error },
    // Without the cause: dotenvy quotes the line, which may hold a password.
    #[error("line {line} of `{}` is not of the form `NAME=value`", path.display())]
    DotEnvLine { path: PathBuf, line: usize },
}

impl Failure for ConfigError {
    fn help(&self) -> Option<String> {
        Some(match self {
            ConfigError::Url { .. } | ConfigError::NotUnicode { .. } => "write it as \
                `postgres://user:password@host:port/database`, with what is not a letter or a digit in the user or \
                the password written as `%` and two hexadecimal digits"
                .to_owned(),
            ConfigError::Scheme { .. } => format!(
                "write `postgres://user:password@host:port/database`, or `{PTEST_URL}=own` for a server that ptest \
                 starts"
            ),
            ConfigError::Value { expected, .. } => format!("write {expected}"),
            ConfigError::Audit { .. } => format!("write {}", Severities::form()),
            ConfigError::DotEnv { .. } => {
                format!("make the file readable, or set `{PTEST_URL}` in the environment")
            }
            ConfigError::DotEnvLine { .. } => format!(
                "put a value that has spaces in quotes; the file is read because it sets `{URL}` or `{PTEST_URL}` \
                 below that line"
            ),
        })
    }
}

#[cfg(test)]
mod tests;

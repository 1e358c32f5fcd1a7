//! Tests of this binary, run again in processes of their own: those that fail, are killed, or race.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;

use crate::package::Package;

/// A run of ignored tests of this binary, still to be started.
pub(crate) struct Rerun {
    pub(crate) command: Command,
    captured: bool,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    /// All that it printed: standard output, then standard error.
    pub(crate) text: String,
}

/// One that is under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: Option<JoinHandle<String>>,
}

impl Rerun {
    /// The one ignored test of this name, as the runner prints it.
    pub(crate) fn test(name: &str) -> Rerun {
        Rerun::of(&std::env::current_exe().unwrap(), &["--exact", name])
    }

    /// The ignored tests of these names.
    pub(crate) fn tests(names: &[&str]) -> Rerun {
        Rerun::of(&std::env::current_exe().unwrap(), &[&["--exact"], names].concat())
    }

    /// All ignored tests whose names begin with this module's.
    pub(crate) fn module(name: &str) -> Rerun {
        Rerun::of(&std::env::current_exe().unwrap(), &[name])
    }

    /// The same of another copy of this binary.
    pub(crate) fn of(binary: &std::path::Path, filter: &[&str]) -> Rerun {
        let mut command = Command::new(binary);
        command.args(filter).args(["--ignored"]);
        // Whatever the suite itself runs on.
        command.env_remove("RUST_TEST_THREADS").env_remove("RUST_BACKTRACE");
        Rerun { command, captured: false }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Rerun {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Rerun {
        self.command.env_remove(name);
        self
    }

    /// Takes the migrations of another package.
    pub(crate) fn package(self, package: &Package) -> Rerun {
        self.env("CARGO_MANIFEST_DIR", package.path())
    }

    /// What [`ANSWERS`] runs.
    pub(crate) fn statements(self, statements: &[&str]) -> Rerun {
        self.env(STATEMENTS, statements.join(";\n"))
    }

    /// Lets the runner hold what tests print, and show it of those that fail.
    pub(crate) fn captured(mut self) -> Rerun {
        self.captured = true;
        self
    }

    fn into_command(mut self) -> Command {
        if !self.captured {
            self.command.arg("--nocapture");
        }
        self.command
    }

    /// Runs at most this number of tests at once.
    pub(crate) fn threads(mut self, threads: usize) -> Rerun {
        self.command.arg(format!("--test-threads={threads}"));
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        let output = self.into_command().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Outcome::new(output.status, text.into_owned())
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let mut child = self.into_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running { child, stdout, stderr: Some(stderr) }
    }
}

impl Running {
    /// Waits until a test prints a line that begins so, and returns the rest of it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                let _ = self.child.wait();
                panic!("ended without `{word}`:\n{seen}{}", self.stderr.take().unwrap().join().unwrap());
            }
            // The runner's own words may stand before it.
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
            seen += &line;
        }
    }

    /// SIGKILL, and the end of it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn finish(mut self) -> Outcome {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        Outcome::new(status, text + &self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    #[track_caller]
    fn new(status: ExitStatus, text: String) -> Outcome {
        assert!(!text.contains("running 0 tests"), "there is no such test");
        Outcome { status, text }
    }

    /// It ran, and all its tests passed.
    #[track_caller]
    pub(crate) fn passed(&self) -> &Self {
        assert!(self.status.success() && self.text.contains("test result: ok."), "should have passed:\n{self}");
        self
    }

    /// It ran, and the runner counted failures.
    #[track_caller]
    pub(crate) fn failed(&self) -> &Self {
        assert!(self.status.code() == Some(101), "should have failed:\n{self}");
        assert!(self.text.contains("test result: FAILED."), "should have failed:\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "should say `{part}`:\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn never_says(&self, part: &str) -> &Self {
        assert!(!self.text.contains(part), "should not say `{part}`:\n{self}");
        self
    }

    /// The first column of all rows, as text.
    pub(crate) fn answers(&self) -> Vec<String> {
        self.lines("answer: ").into_iter().map(str::to_owned).collect()
    }

    /// The rest of every line that has `word`, what the tests themselves printed.
    pub(crate) fn lines(&self, word: &str) -> Vec<&str> {
        self.text.lines().filter_map(|line| Some(line.split_once(word)?.1.trim())).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.status, self.text)
    }
}

/// The name of the test that runs [`Rerun::statements`].
pub(crate) const ANSWERS: &str = "rerun::answers";

/// Runs statements in a test of this package, on PostgreSQL; gives the first column of all their rows, as text.
#[track_caller]
pub(crate) fn ask(package: &Package, statements: &[&str]) -> Vec<String> {
    Rerun::test(ANSWERS).package(package).statements(statements).run().passed().answers()
}

/// The major version of the server that the suite runs on.
pub(crate) fn server_version() -> u32 {
    static VERSION: OnceLock<u32> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let number = ask(&Package::new(&[]), &["show server_version_num"]).concat();
        number.parse::<u32>().unwrap() / 10_000
    })
}

const STATEMENTS: &str = "PTEST_IT_STATEMENTS";

#[ptest::db_test]
#[ignore = "run by other tests, of packages of theirs"]
async fn answers(client: tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    for message in client.simple_query(&std::env::var(STATEMENTS).unwrap()).await? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            println!("answer: {}", row.get(0).unwrap_or("null"));
        }
    }
    Ok(())
}

//! Processes of this test binary's own, for what only another process can show.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

/// A process that runs one ignored test. It is killed when it is dropped: a failed assertion leaves nothing running.
pub(crate) struct Child {
    process: std::process::Child,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Runs the test `module::name`, in `folder`.
    pub(crate) fn run(module: &str, name: &str, folder: &Path) -> Child {
        let (_crate, module) = module.split_once("::").unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::{name}"), "--ignored", "--nocapture"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Child { process, stdout }
    }

    /// Waits for the line that contains `words`, and returns what follows them.
    pub(crate) fn says(&mut self, words: &str) -> String {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once(words) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the process ended without saying {words:?}");
    }

    /// Writes `line` to the process.
    pub(crate) fn tell(mut self, line: &str) -> Child {
        writeln!(self.process.stdin.take().unwrap(), "{line}").unwrap();
        self
    }

    /// Waits for the end of the test, which must have passed.
    pub(crate) fn passes(mut self) {
        let mut output = String::new();
        while self.stdout.read_line(&mut output).unwrap() > 0 {}
        assert!(output.contains("1 passed"), "{output}");
    }

    /// Kills the process as a runner does with a test that hangs.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

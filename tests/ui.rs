//! What the attribute accepts, compiled and run here, and what it rejects, compared with the compiler's own words.
//!
//! No case needs a database. `TRYBUILD=overwrite cargo test --test ui` writes the words anew.

extern crate ptest as db;

use std::env;
use std::path::Path;
use std::process::Command;

#[path = "ui/pass/mod.rs"]
mod pass;

/// The compiler whose words `tests/ui/fail/*.stderr` hold.
const COMPILER: &str = "rustc 1.95.";

#[test]
#[cfg(unix)]
fn fail() {
    let as_test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/as-test.sh");
    if !rustc_version().starts_with(COMPILER) {
        println!("skipped: the expected output is that of {COMPILER}");
    } else if env::var_os(WRAPPER).is_some_and(|wrapper| wrapper == *as_test) {
        trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
    } else {
        // Only a new process can be given the variable without `unsafe`.
        let mut same = Command::new(env::current_exe().expect("the path of this test"));
        let status = same.args(["--exact", "fail", "--nocapture"]).env(WRAPPER, as_test).status();
        assert!(status.expect("this test can be run again").success());
    }
}

/// Cargo's variable for what to run in place of rustc, for the workspace's own packages.
const WRAPPER: &str = "RUSTC_WORKSPACE_WRAPPER";

fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

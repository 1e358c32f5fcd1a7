//! `cargo ptest doctor`: what tests need, checked.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::{Outcome, database, text_of};

/// What a check found, and what to do about it.
struct Check {
    fine: bool,
    text: String,
}

/// Runs every check, and exits with 1 where one has failed.
pub(crate) fn doctor(manifest_dir: &Path, migrations: Option<&str>) -> Outcome {
    let checks = [server(), template(manifest_dir, migrations), profile(manifest_dir)?, nextest()];
    for Check { fine, text } in &checks {
        println!("{} {text}", if *fine { "ok  " } else { "FAIL" });
    }
    Ok(if checks.iter().all(|check| check.fine) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The server answers, and ptest may make databases there.
fn server() -> Check {
    let status = ptest::__tool::start().and_then(|()| ptest::__tool::status());
    let (fine, text) = match status {
        Ok(Some(status)) if !status.may_create => (
            false,
            format!("server: {} lets ptest create no databases; run ALTER ROLE … CREATEDB there", status.address),
        ),
        Ok(Some(status)) => {
            (true, format!("server: PostgreSQL {} at {} (from {})", status.version, status.address, status.origin))
        }
        Ok(None) => (false, "server: it does not run".to_owned()),
        Err(error) => (false, format!("server: {}", text_of(&error))),
    };
    Check { fine, text }
}

/// The migrations make a database.
fn template(manifest_dir: &Path, migrations: Option<&str>) -> Check {
    let begin = Instant::now();
    let mut ready = Duration::ZERO;
    let code = database::with(manifest_dir, migrations, |_| {
        ready = begin.elapsed();
        ExitCode::SUCCESS
    });
    let fine = code == ExitCode::SUCCESS;
    let text = match fine {
        true => format!("migrations: a database of their own was ready after {} ms", ready.as_millis()),
        false => "migrations: see the error above".to_owned(),
    };
    Check { fine, text }
}

/// Dependencies are optimised in tests: a matter of speed alone.
fn profile(manifest_dir: &Path) -> Result<Check, std::io::Error> {
    let manifests = manifest_dir.ancestors().map(|folder| folder.join("Cargo.toml")).filter(|path| path.is_file());
    let mut optimised = false;
    for manifest in manifests {
        let text = std::fs::read_to_string(manifest)?;
        optimised |= ["dev", "test"].iter().any(|name| text.contains(&format!("[profile.{name}.package.\"*\"]")));
    }
    let text = match optimised {
        true => "profile: dependencies have a profile of their own in tests",
        false => {
            "profile: dependencies are not optimised in tests; [profile.dev.package.\"*\"] with opt-level = 2 makes \
             tests faster"
        }
    };
    Ok(Check { fine: true, text: text.to_owned() })
}

/// Whether the other runner is there: a matter of taste.
fn nextest() -> Check {
    let found =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    let text = if found { "runners: cargo test, cargo nextest run" } else { "runners: cargo test" };
    Check { fine: true, text: text.to_owned() }
}

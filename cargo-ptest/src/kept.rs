//! `cargo ptest kept` and `psql`: what failing tests left.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use ptest::__tool::KeptDatabase;
use serde_json::json;

use crate::Outcome;

/// Lists what is kept, the newest first.
pub(crate) fn list(as_json: bool) -> Outcome {
    let kept = ptest::__tool::kept()?;
    if as_json {
        let all = kept.iter().map(|kept| json!({ "test": kept.test, "open": kept.open, "seconds_ago": kept.age }));
        println!("{}", serde_json::Value::from_iter(all));
        return Ok(ExitCode::SUCCESS);
    }
    if kept.is_empty() {
        println!("nothing is kept: PTEST_KEEP=failed cargo test keeps the databases of tests that fail");
    }
    for KeptDatabase { test, open, age } in kept {
        println!("{} ({} ago)\n  {open}", test.as_deref().unwrap_or("a test on SQLite"), ago(age));
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the newest, or the newest of a test.
pub(crate) fn open(test: Option<&str>) -> Outcome {
    let kept = ptest::__tool::kept()?.into_iter().find(|kept| is_of(kept, test));
    let Some(kept) = kept else {
        let of = test.map(|test| format!(" of a test named `{test}`")).unwrap_or_default();
        return Err(format!("no database{of} is kept: run PTEST_KEEP=failed cargo test first").into());
    };
    // The server may have stopped: it is started for whoever wants to look.
    ptest::__tool::start()?;
    Err(Command::new("sh").args(["-c", &format!("exec {}", kept.open)]).exec().into())
}

fn is_of(kept: &KeptDatabase, test: Option<&str>) -> bool {
    test.is_none_or(|part| kept.test.as_deref().is_some_and(|name| name.contains(part)))
}

/// A time, in its largest unit.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

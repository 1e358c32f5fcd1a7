//! `cargo ptest stop`: the end of ptest's own server.

use std::process::ExitCode;

use ptest::__tool::Stop;

use crate::Outcome;

/// Stops it, unless a test uses it.
pub(crate) fn stop() -> Outcome {
    match ptest::__tool::stop()? {
        Stop::Stopped => println!("stopped"),
        Stop::NotRunning => println!("it does not run"),
        Stop::InUse => return Err("a test uses the server: wait for the end of the run".into()),
        Stop::NotOurs => return Err("the server is yours, not ptest's: a URL names it".into()),
    }
    Ok(ExitCode::SUCCESS)
}

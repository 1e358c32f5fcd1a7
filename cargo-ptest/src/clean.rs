//! `cargo ptest clean`: the end of all databases that are not in use.

use std::process::ExitCode;

use crate::Outcome;

/// Drops them, and names them.
pub(crate) fn clean(as_json: bool) -> Outcome {
    let dropped = ptest::__tool::clean()?;
    if as_json {
        println!("{}", serde_json::json!(dropped));
        return Ok(ExitCode::SUCCESS);
    }
    dropped.iter().for_each(|name| println!("dropped {name}"));
    let left = ptest::__tool::status()?.map_or(0, |status| status.databases.len());
    println!("{} databases dropped, {left} are in use", dropped.len());
    Ok(ExitCode::SUCCESS)
}

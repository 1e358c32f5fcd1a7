//! `cargo ptest status`: the server, and what ptest has on it.

use std::process::ExitCode;

use ptest::__tool::{DatabaseStatus, ServerStatus};
use serde_json::{Value, json};

use crate::Outcome;

/// Prints it. A server of ptest's that does not run is not started.
pub(crate) fn status(as_json: bool) -> Outcome {
    let status = ptest::__tool::status()?;
    match (status, as_json) {
        (None, true) => println!("null"),
        (None, false) => println!("ptest's own server does not run; any test starts it"),
        (Some(status), true) => println!("{}", as_value(&status)),
        (Some(status), false) => print_all(&status),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_all(status: &ServerStatus) {
    let (most, taken) = status.connections;
    println!("PostgreSQL {} at {} (from {})", status.version, status.address, status.origin);
    println!("{taken} of {most} connections are taken");
    let bytes: u64 = status.databases.iter().map(|database| database.bytes).sum();
    println!("{} databases of ptest, {}", status.databases.len(), size(bytes));
    for DatabaseStatus { name, kind, bytes, connections } in &status.databases {
        println!("  {name:<56} {kind:<8} {:>9} {connections:>3} connections", size(*bytes));
    }
}

fn as_value(status: &ServerStatus) -> Value {
    let databases = status.databases.iter().map(|database| {
        json!({
            "name": database.name, "kind": database.kind, "bytes": database.bytes, "connections": database.connections,
        })
    });
    json!({
        "address": status.address,
        "origin": status.origin,
        "version": status.version,
        "max_connections": status.connections.0,
        "connections": status.connections.1,
        "databases": Value::from_iter(databases),
    })
}

/// In megabytes, as `du` counts them.
fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1024.0 / 1024.0)
}

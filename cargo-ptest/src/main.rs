//! `cargo ptest`: databases of ptest from the command line.
//!
//! Each command is a file. They ask ptest itself, so they see what the tests of the workspace see: the same server, found in the
//! same way, and the same databases.

mod clean;
mod cli;
mod database;
mod doctor;
mod kept;
mod run;
mod schema;
mod status;
mod stop;
mod workspace;

use std::process::ExitCode;

use cli::Command;

/// What a command comes to: the code to exit with, or why it could not be done.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let (package, command) = cli::parse();
    let outcome = workspace::enter(package.manifest_path.as_deref()).and_then(|manifest_dir| match command {
        Command::Run { command } => run::run(&manifest_dir, package.migrations.as_deref(), &command),
        Command::Schema { check } => schema::schema(&manifest_dir, package.migrations.as_deref(), check.as_deref()),
        Command::Kept { json } => kept::list(json),
        Command::Psql { test } => kept::open(test.as_deref()),
        Command::Status { json } => status::status(json),
        Command::Clean { json } => clean::clean(json),
        Command::Stop => stop::stop(),
        Command::Doctor => doctor::doctor(&manifest_dir, package.migrations.as_deref()),
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("cargo ptest: {}", text_of(&*error));
        ExitCode::FAILURE
    })
}

/// An error of ptest's says in its `Debug` form what to do about it.
fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    error.downcast_ref::<ptest::Error>().map_or_else(|| error.to_string(), |error| format!("{error:?}"))
}

//! `cargo ptest run`: a command with a database.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::{Outcome, database};

/// What a shell exits with where there is no such command.
const NO_SUCH_COMMAND: u8 = 127;

/// Runs the command, and exits as it does.
pub(crate) fn run(manifest_dir: &Path, migrations: Option<&str>, command: &[OsString]) -> Outcome {
    let [program, arguments @ ..] = command else { return Err("no command is given".into()) };
    Ok(database::with(manifest_dir, migrations, |url| {
        match Command::new(program).args(arguments).env("DATABASE_URL", url).status() {
            Ok(status) => match status.code().map(u8::try_from) {
                Some(Ok(code)) => code.into(),
                // A signal has ended it.
                _ => ExitCode::FAILURE,
            },
            Err(error) => {
                eprintln!("cargo ptest: cannot run `{}`: {error}", program.to_string_lossy());
                NO_SUCH_COMMAND.into()
            }
        }
    }))
}

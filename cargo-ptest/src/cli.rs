//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// `cargo ptest` calls `cargo-ptest ptest …`.
#[derive(Debug, Parser)]
#[command(name = "cargo ptest", bin_name = "cargo ptest", version, about, subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    package: Package,
    #[command(subcommand)]
    command: Command,
}

/// Whose databases are meant.
#[derive(Debug, Args)]
pub(crate) struct Package {
    /// Path to the Cargo.toml of the crate whose tests are meant
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) manifest_path: Option<PathBuf>,
    /// Folder of migrations, relative to the crate [default: as for its tests]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) migrations: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command with DATABASE_URL of a migrated database that is thrown away afterwards
    Run {
        /// The command and its arguments
        #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Print the migrated schema, as pg_dump writes it
    Schema {
        /// Compare it with a file instead: exit with 1 where they differ
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// List the databases that PTEST_KEEP has kept
    Kept {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open what a failing test left: the newest, or that of the test with this name
    Psql {
        /// A part of the test's name
        test: Option<String>,
    },
    /// Say which server is used, and what ptest has on it
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Drop every database of ptest's that is not in use
    Clean {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop the server that ptest started, unless a test uses it
    Stop,
    /// Check what tests need, one line each, with its remedy
    Doctor,
}

/// Reads the arguments; exits with 2 where they are not known.
pub(crate) fn parse() -> (Package, Command) {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "ptest") {
        arguments.remove(1);
    }
    let Cli { package, command } = Cli::parse_from(arguments);
    (package, command)
}

//! A database for as long as a piece of work takes.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::Path;
use std::process::ExitCode;

use ptest::__private::{Isolation, Migrations, TestSpec, run_blocking};
use ptest::{FromContext, PgUrl};

/// Does the work with the URL of a database that is migrated as those of the crate's tests are. It is thrown away afterwards.
pub(crate) fn with(manifest_dir: &Path, migrations: Option<&str>, work: impl FnOnce(&str) -> ExitCode) -> ExitCode {
    // As long as the process, as the descriptions of tests are.
    let leaked = |text: &str| -> &'static str { Box::leak(text.into()) };
    let mut spec = TestSpec::new("cargo::ptest", leaked(&manifest_dir.to_string_lossy()));
    if let Some(folder) = migrations {
        spec = spec.migrations(Migrations::Dir(leaked(folder)));
    }
    let spec = Box::leak(Box::new(spec.isolation(Isolation::Database)));
    // What would fail a test is an error of this program, without the place in its code.
    set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        eprintln!("cargo ptest: {}", text.split("\nptest: ").next().unwrap_or(text).trim_end());
    }));
    let mut code = ExitCode::FAILURE;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        run_blocking(
            spec,
            |cx| Box::pin(PgUrl::from_context(cx)),
            |url| {
                code = work(url.as_str());
                ExitCode::SUCCESS
            },
        )
    }));
    if opened.is_ok() { code } else { ExitCode::FAILURE }
}

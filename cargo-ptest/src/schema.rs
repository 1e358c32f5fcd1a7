//! `cargo ptest schema`: what the migrations make, as text.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{fs, io};

use crate::{Outcome, database};

/// Prints the schema, or says whether a file has it.
pub(crate) fn schema(manifest_dir: &Path, migrations: Option<&str>, check: Option<&Path>) -> Outcome {
    let mut dumped = Err(io::Error::other("the database was not there").into());
    let code = database::with(manifest_dir, migrations, |url| {
        dumped = dump(url);
        ExitCode::SUCCESS
    });
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let schema = dumped?;
    let Some(file) = check else {
        print!("{schema}");
        return Ok(ExitCode::SUCCESS);
    };
    let expected = fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    match first_difference(&expected, &schema) {
        None => Ok(ExitCode::SUCCESS),
        Some((number, was, is)) => {
            eprintln!(
                "cargo ptest: `{file}` differs from the migrated schema in line {number}:\n  - {was}\n  + {is}\n\
                 write it again with: cargo ptest schema > {file}",
                file = file.display()
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

fn dump(url: &str) -> Result<String, Box<dyn std::error::Error>> {
    let output = Command::new("pg_dump")
        .args(["--schema-only", "--no-owner", "--no-privileges", "--dbname", url])
        .output()
        .map_err(|error| format!("cannot run pg_dump: {error}"))?;
    if !output.status.success() {
        return Err(format!("pg_dump failed: {}", String::from_utf8_lossy(&output.stderr).trim_end()).into());
    }
    Ok(plain(&String::from_utf8(output.stdout)?))
}

/// Without what differs from run to run: the random key of `\restrict`, and the versions in the head.
fn plain(dump: &str) -> String {
    let differs = |line: &&str| {
        ["\\restrict ", "\\unrestrict ", "-- Dumped "].iter().any(|beginning| line.starts_with(beginning))
    };
    dump.lines().filter(|line| !differs(line)).flat_map(|line| [line, "\n"]).collect()
}

fn first_difference<'t>(expected: &'t str, found: &'t str) -> Option<(usize, &'t str, &'t str)> {
    let mut pairs = (expected.lines(), found.lines());
    (1..).find_map(|number| match (pairs.0.next(), pairs.1.next()) {
        (None, None) => Some(None),
        (was, is) if was == is => None,
        (was, is) => Some(Some((number, was.unwrap_or("(the end)"), is.unwrap_or("(the end)")))),
    })?
}

#[cfg(test)]
mod tests {
    use super::{first_difference, plain};

    #[test]
    fn a_difference_has_the_number_of_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "(the end)", "c")));
    }

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        assert_eq!(
            plain("\\restrict x1\n-- Dumped by pg_dump version 17\nCREATE TABLE t ();\n"),
            "CREATE TABLE t ();\n"
        );
    }
}

//! What the documents promise of the sources.

mod layers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of more than 300 lines, each for a reason.
const LONG: &[(&str, &str)] = &[
    ("ptest-runtime/src/pg/sandbox/answers.rs", "one match over the server's messages"),
    ("ptest-runtime/src/pg/sandbox/frame.rs", "the frames of the protocol, read and written"),
    ("ptest-runtime/src/pg/sandbox/session.rs", "one match over the client's messages"),
    ("ptest-runtime/src/pg/server/connection.rs", "a client of the protocol"),
];

const MOST_LINES: usize = 300;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder that ends so, by its path from the root.
pub(crate) fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing in {folder}");
    found
}

pub(crate) fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// The lines of the product's own code, each with its file and number; without tests and comments.
pub(crate) fn code() -> impl Iterator<Item = (PathBuf, usize, String)> {
    let sources = ["src", "ptest-macros/src", "ptest-runtime/src"].into_iter().flat_map(|folder| files(folder, ".rs"));
    sources.filter(|path| !is_test(path)).flat_map(|path| {
        let text = read(&path);
        let own = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
        let lines: Vec<_> = own.lines().map(str::to_owned).enumerate().collect();
        lines.into_iter().filter_map(move |(number, line)| {
            (!line.trim_start().starts_with("//")).then(|| (path.clone(), number + 1, line))
        })
    })
}

/// The lines of the code that have one of these words outside of the files named.
fn offenders(words: &[&str], allowed: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let has = |line: &str| words.iter().any(|word| line.contains(word));
    code()
        .filter(|(path, _, line)| has(line) && !allowed(path, line))
        .map(|(path, number, line)| format!("{}:{number}: {}", path.display(), line.trim()))
        .collect()
}

#[test]
fn the_three_packages_have_one_version() {
    let workspace = read("Cargo.toml");
    let version = workspace.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')).unwrap();
    for package in ["ptest", "ptest-macros", "ptest-runtime"] {
        let pin = workspace.lines().find(|line| line.starts_with(&format!("{package} = {{"))).unwrap();
        assert!(pin.contains(&format!("version = \"={version}\"")), "{pin}");
    }
    for manifest in ["Cargo.toml", "ptest-macros/Cargo.toml", "ptest-runtime/Cargo.toml"] {
        assert!(read(manifest).contains("\nversion.workspace = true\n"), "{manifest}");
    }
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_changelog_is_current() {
    let log = read("CHANGELOG.md");
    let first = log.lines().find_map(|line| line.strip_prefix("## [")).unwrap();
    let version = first.split(']').next().unwrap();
    assert!(version == "Unreleased" || version == env!("CARGO_PKG_VERSION"), "{version}");
}

#[test]
fn every_rejected_case_has_its_errors() {
    let stems = |end| files("tests/ui/fail", end).iter().map(|path| path.with_extension("")).collect::<BTreeSet<_>>();
    assert_eq!(stems(".rs"), stems(".stderr"));
}

#[test]
fn every_variable_is_in_the_reference() {
    let config = read("ptest-runtime/src/config/mod.rs");
    let rows: Vec<&str> =
        config.lines().filter_map(|line| line.strip_prefix("//! ")).filter(|l| l.starts_with("| `")).collect();
    assert!(rows.len() >= 5, "{rows:?}");
    let page = read("src/environment.md");
    for row in rows {
        assert!(page.contains(row), "src/environment.md lacks\n{row}");
    }
}

#[test]
fn the_macro_knows_nothing_of_databases() {
    let manifest = read("ptest-macros/Cargo.toml");
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> =
        dependencies.lines().filter_map(|line| line.split(['.', ' ']).next()).filter(|n| !n.is_empty()).collect();
    assert_eq!(names, ["proc-macro2", "quote", "syn"]);
}

#[test]
fn only_config_reads_the_environment() {
    let words = ["env::var", "env::vars", "env::temp_dir", "env::home_dir", "env::set_var", "env::args"];
    let found = offenders(&words, |path, _| path == Path::new("ptest-runtime/src/config/mod.rs"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_drivers_names_driver_types() {
    let words = ["sqlx::", "tokio_postgres::", "deadpool_postgres::"];
    let found = offenders(&words, |path, line| {
        // The note of the compiler to somebody whose migrator is none.
        let allowed = path.ends_with("migrator.rs") && line.trim_start().starts_with("label = ");
        // The note of the compiler to somebody whose parameter is of no such type.
        let note = path.ends_with("param.rs") && line.trim_start().starts_with("note = ");
        !path.starts_with("ptest-runtime/src")
            || path.components().any(|part| part.as_os_str() == "drivers")
            || allowed
            || note
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_unsafe() {
    let words = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "unsafe {", "unsafe fn", "unsafe impl"];
    // The macro's own advice to users is no such block.
    let found = offenders(&words, |_, line| line.contains("`unsafe {"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_are_short() {
    let sources = ["src", "ptest-macros/src", "ptest-runtime/src"].into_iter().flat_map(|folder| files(folder, ".rs"));
    let mut long: Vec<String> = Vec::new();
    for path in sources.filter(|path| !is_test(path)) {
        let lines = read(&path).lines().count();
        let known = LONG.iter().any(|(file, _)| path == Path::new(file));
        if (lines > MOST_LINES) != known {
            long.push(format!(
                "{}: {lines} lines{}",
                path.display(),
                if known { ", so it is in the list no more" } else { "" }
            ));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

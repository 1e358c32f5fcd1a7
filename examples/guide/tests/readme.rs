//! A crate that is made from nothing but the blocks of README.md, as a newcomer would make it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The first block of that language.
fn block(readme: &str, language: &str) -> String {
    let mut lines = readme.lines().skip_while(|line| *line != format!("```{language}"));
    assert!(lines.next().is_some(), "README.md has no block of {language}");
    lines.take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect()
}

/// The lines that a newcomer must see, from the block that shows the command.
fn shown(readme: &str) -> Vec<String> {
    block(readme, "console").lines().filter(|line| line.starts_with("test ")).map(str::to_owned).collect()
}

#[test]
#[ignore = "compiles sqlx once more; `./test all` runs it"]
fn the_blocks_of_the_readme_make_a_crate_whose_tests_pass() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let _ = fs::remove_dir_all(&folder);
    for (path, text) in [
        ("Cargo.toml", manifest(&readme)),
        ("Cargo.lock", fs::read_to_string(root().join("Cargo.lock")).unwrap()),
        ("src/lib.rs", String::new()),
        ("migrations/1_users.sql", block(&readme, "sql")),
        ("tests/users.rs", block(&readme, "rust")),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    let mut cargo = Command::new(env::var_os("CARGO").unwrap());
    cargo.args(["test", "--offline"]).current_dir(&folder).env("CARGO_TARGET_DIR", folder.join("target"));
    for variable in ["DATABASE_URL", "PTEST_DATABASE_URL", "CARGO_MANIFEST_DIR", "RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    let output = cargo.output().unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let expected = shown(&readme);
    assert_eq!(expected.len(), 2);
    for line in expected {
        assert!(said.lines().any(|other| other == line), "{line}\n{said}");
    }
}

/// README's dependencies, in a package of their own; ptest is this one.
fn manifest(readme: &str) -> String {
    format!(
        "[package]\nname = \"newcomer\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n{}\n[workspace]\n\n\
         [patch.crates-io]\nptest = {{ path = {:?} }}\n",
        block(readme, "toml"),
        root()
    )
}

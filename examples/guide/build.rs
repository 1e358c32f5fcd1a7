//! Turns the Rust blocks of the documentation into one file of tests: a module for each page, one in it for each block.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let mut pages = vec![sources.join("front.md"), sources.join("db_test.md"), sources.join("database.md")];
    pages.extend(markdown_of(&sources.join("guide")));
    pages.sort();
    let mut tests = String::new();
    for page in pages {
        println!("cargo::rerun-if-changed={}", page.display());
        let text = fs::read_to_string(&page).expect("a page of the documentation");
        let name = page.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let blocks: Vec<String> = rust_blocks(&text).collect();
        if !blocks.is_empty() {
            writeln!(tests, "mod {name} {{").expect("memory");
            for (number, block) in blocks.iter().enumerate() {
                writeln!(tests, "mod example_{} {{\n{block}}}", number + 1).expect("memory");
            }
            writeln!(tests, "}}").expect("memory");
        }
    }
    println!("cargo::rerun-if-changed={}", sources.join("guide").display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR")).join("examples.rs");
    fs::write(out, tests).expect("OUT_DIR is writable");
}

fn markdown_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the guide").map(|entry| entry.expect("the guide").path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The blocks whose fence says `rust` and not `ignore`, with the lines that rustdoc hides.
fn rust_blocks(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let fence = lines.find(|line| line.starts_with("```rust") && !line.contains("ignore"))?;
        let block = lines.by_ref().take_while(|line| !line.starts_with("```"));
        let shown = block.map(|line| line.strip_prefix("# ").unwrap_or(if line == "#" { "" } else { line }));
        Some(shown.fold(format!("// {fence}\n"), |text, line| text + line + "\n"))
    })
}

//! The page that has a heading for every message of ptest: `src/faq.md`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::tidy::{code, files, is_test, read};

/// The headings of the page that has one for every message.
fn headings() -> Vec<String> {
    read("src/faq.md").lines().filter_map(|line| line.strip_prefix("### ").map(str::to_owned)).collect()
}

/// Whether a text is what a heading says, with anything for each `…`.
fn matches(heading: &str, text: &str) -> bool {
    let mut parts = heading.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// The first lines of the string constants that follow `before` in the sources, with `…` for what is filled in.
fn texts(before: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in files("ptest-runtime/src", ".rs").into_iter().filter(|path| !is_test(path)) {
        let source = read(&path);
        for (at, _) in source.match_indices(before) {
            let rest = source[at + before.len()..].trim_start();
            let Some(rest) = rest.strip_prefix('"') else { continue };
            let end = rest.match_indices('"').map(|(end, _)| end).find(|end| !rest[..*end].ends_with('\\'));
            // A line may be continued, and a placeholder may be anything.
            let text: String = rest[..end.unwrap()].split("\\\n").map(str::trim_start).collect();
            let text = text.split("\\n").next().unwrap().to_owned();
            let mut pieces = text.split('{');
            let mut general = pieces.next().unwrap().to_owned();
            for piece in pieces {
                general.push('…');
                general += piece.split_once('}').unwrap().1;
            }
            found.push((path.clone(), general));
        }
    }
    assert!(!found.is_empty(), "nothing follows {before}");
    found
}

#[test]
fn every_error_is_in_the_faq() {
    let headings = headings();
    let mut lacking = Vec::new();
    for (path, text) in texts("#[error(").into_iter().chain(texts("eprintln!(")).chain(texts("progress(&format!(")) {
        let text = text.strip_prefix("ptest: ").unwrap_or(&text);
        let words = text.trim_start_matches("warning: ").trim_start_matches("hint: ");
        let says_something = words.chars().any(char::is_alphabetic) && !text.starts_with("built the template");
        if says_something && !headings.iter().any(|heading| heading == text) {
            lacking.push(format!("{}: ### {text}", path.display()));
        }
    }
    assert!(lacking.is_empty(), "src/faq.md lacks\n{}", lacking.join("\n"));
}

/// What the snapshots show: the first lines of errors and of reports, and of what the compiler says.
#[test]
fn every_text_that_was_seen_is_in_the_faq() {
    let headings = headings();
    let mut seen: Vec<String> = Vec::new();
    for path in files("ptest-runtime/src", ".snap") {
        let text = read(&path);
        let shown = text.split_once("\n---\n").unwrap().1;
        let errors = shown.split("\n\n").filter(|text| text.contains("\n  help: ") || text.contains("\n  caused by: "));
        seen.extend(errors.filter_map(|text| text.trim_start().lines().next().map(str::to_owned)));
        seen.extend(shown.lines().filter_map(|line| line.strip_prefix("ptest: ").map(str::to_owned)));
    }
    for path in files("tests/ui/fail", ".stderr") {
        let text = read(path);
        let of_rustc = ["unexpected token", "expected `,`", "expected `;`", "couldn't read"];
        let errors =
            text.lines().filter_map(|line| line.strip_prefix("error: ").or(line.strip_prefix("error[E0277]: ")));
        seen.extend(errors.filter(|e| !of_rustc.iter().any(|words| e.starts_with(words))).map(str::to_owned));
    }
    seen.retain(|text| !text.starts_with("the `?` operator") && !text.starts_with("the trait bound"));
    let lacking: Vec<&String> = seen.iter().filter(|text| !headings.iter().any(|h| matches(h, text))).collect();
    assert!(lacking.is_empty(), "src/faq.md lacks\n{lacking:#?}");
}

#[test]
fn every_code_of_ptest_is_in_the_faq() {
    let faq = read("src/faq.md");
    let codes: BTreeSet<String> = code()
        .flat_map(|(_, _, line)| {
            line.match_indices("\"PT").map(|(at, _)| line[at + 1..].chars().take(5).collect()).collect::<Vec<String>>()
        })
        .filter(|code| code[2..].bytes().all(|b| b.is_ascii_digit()))
        .collect();
    assert!(codes.len() >= 3, "{codes:?}");
    for code in codes {
        assert!(faq.contains(&code), "{code}");
    }
}

#[test]
fn no_heading_of_the_faq_stands_twice() {
    let headings = headings();
    let once: BTreeSet<&String> = headings.iter().collect();
    assert_eq!(once.len(), headings.len());
}

#[test]
fn every_error_has_a_snapshot() {
    let shown: String = files("ptest-runtime/src", ".snap").into_iter().map(read).collect();
    let lines: Vec<&str> = shown.lines().map(|line| line.trim().trim_start_matches("caused by: ")).collect();
    let unseen: Vec<String> = texts("#[error(")
        .into_iter()
        .filter(|(_, text)| !lines.iter().any(|line| matches(text, line)))
        .map(|(path, text)| format!("{}: {text}", path.display()))
        .collect();
    assert!(unseen.is_empty(), "no snapshot has\n{}", unseen.join("\n"));
}

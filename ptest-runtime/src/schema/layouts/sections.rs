//! Files that hold both ways, divided by comments.

/// The lines that are kept, and nothing in the place of the others: so a line has the number that it has in the file.
pub(super) fn only(text: &str, mut is_kept: impl FnMut(&str) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match is_kept(line.trim_end_matches(['\n', '\r'])) {
            true => kept.push_str(line),
            false => kept.extend(line.ends_with('\n').then_some('\n')),
        }
    }
    kept
}

/// The words of a comment that is a line's all and begins with this word, without the word, in lower case.
pub(super) fn directive(line: &str, tool: &str) -> Option<Vec<String>> {
    let mut words = line.trim_start().strip_prefix("--")?.split_whitespace();
    (words.next()? == tool).then(|| words.map(str::to_ascii_lowercase).collect())
}

/// Whether a line has neither a statement nor a part of one.
pub(super) fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers() {
        let text = "a\r\nb\nc\nd";
        assert_eq!(only(text, |line| line == "a" || line == "d"), "a\r\n\n\nd");
        assert_eq!(only(text, |line| line == "c"), "\n\nc\n");
    }

    #[test]
    fn a_directive_is_a_comment_that_begins_with_its_word() {
        assert_eq!(directive("--  +goose NO TRANSACTION", "+goose").unwrap(), ["no", "transaction"]);
        assert_eq!(directive("--+goose Up", "+goose").unwrap(), ["up"]);
        for line in ["+goose Up", "-- goose Up", "-- +gooses Up", "select 1; -- +goose Up", "--"] {
            assert_eq!(directive(line, "+goose"), None, "{line}");
        }
    }
}

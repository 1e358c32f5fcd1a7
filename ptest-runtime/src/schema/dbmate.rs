//! Migrations of dbmate: one file for both ways, divided by comments.
//!
//! `-- migrate:up`, with `transaction:false` behind it if need be, then the statements; `-- migrate:down`, and their way
//! back, which nothing here runs (dbmate's README, "Writing migrations").

/// The way up of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Up<'s> {
    /// Its lines have the numbers that they have in the file.
    pub(super) sql: &'s str,
    pub(super) in_transaction: bool,
}

/// Finds the way up; `None`: this is no migration of dbmate.
pub(super) fn up(text: &str) -> Option<Up<'_>> {
    let (from, options) = directive(text, "migrate:up")?;
    let rest = &text[from..];
    let end = directive(rest, "migrate:down").map_or(text.len(), |(at, _)| from + at);
    let in_transaction = !options.split_whitespace().any(|option| option == "transaction:false");
    Some(Up { sql: &text[..end], in_transaction })
}

/// Whether there are statements before the way up, which dbmate refuses.
pub(super) fn begins_late(text: &str) -> bool {
    let before = directive(text, "migrate:up").map_or("", |(at, _)| &text[..at]);
    before.lines().map(str::trim_start).any(|line| !line.is_empty() && !line.starts_with("--"))
}

/// Where a line with this directive begins, and what follows the directive.
fn directive<'t>(text: &'t str, name: &str) -> Option<(usize, &'t str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let options = line.strip_prefix("--").and_then(|rest| rest.trim_start().strip_prefix(name));
        if let Some(options) = options.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            return Some((at, options));
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_ends_where_the_way_down_begins() {
        let text = "-- about users\n\n-- migrate:up\ncreate table a ();\n--migrate:down\ndrop table a;\n";
        let sql = "-- about users\n\n-- migrate:up\ncreate table a ();\n";
        assert_eq!(up(text), Some(Up { sql, in_transaction: true }));
        assert_eq!(up(sql), Some(Up { sql, in_transaction: true }));
        let text = "--  migrate:up transaction:false\r\nvacuum;";
        assert_eq!(up(text), Some(Up { sql: text, in_transaction: false }));
        for text in ["", "create table a ();", "-- migrate:upwards", "select 1; -- migrate:up", "-- migrate:down"] {
            assert_eq!(up(text), None, "{text}");
        }
    }

    #[test]
    fn only_comments_stand_before_it() {
        assert!(!begins_late("-- about\n\n  -- users\n-- migrate:up\nselect 1"));
        assert!(begins_late("select 1;\n-- migrate:up\nselect 2"));
    }
}

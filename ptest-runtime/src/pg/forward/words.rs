//! Words in the text of statements that mean more than a reset undoes.
//!
//! `DISCARD ALL` is not enough after these (PostgreSQL 15): a setting of the client's own making is empty afterwards, and no
//! longer null; the state of `setseed` survives, so do a library that was loaded and the connections of `dblink`. Whoever
//! speaks of them may mean something else; a new session costs a few milliseconds, no more.

/// What texts have spoken of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    /// Something that no reset undoes: the session is not used again.
    pub(crate) lasts: bool,
    /// Counters that are no longer to be trusted: the database is not used again.
    pub(crate) hides: bool,
    /// The configuration of the server.
    pub(crate) configures: bool,
}

/// The words, in lower case, and what they mean.
const WORDS: [(&[u8], Words); 9] = [
    (b"set_config", LASTS),
    (b"setseed", LASTS),
    (b"load", LASTS),
    (b"dblink", LASTS),
    (b"set_limit", LASTS),
    (b"track_counts", Words { lasts: false, hides: true, configures: false }),
    (b"pg_stat_reset", Words { lasts: false, hides: true, configures: false }),
    (b"system", CONFIGURES),
    (b"pg_reload_conf", CONFIGURES),
];

/// Of these, whatever begins so.
const FAMILIES: [&[u8]; 2] = [b"dblink", b"pg_stat_reset"];

const LASTS: Words = Words { lasts: true, hides: false, configures: false };
const CONFIGURES: Words = Words { lasts: false, hides: false, configures: true };

impl Words {
    /// What a text speaks of.
    pub(crate) fn of(text: &[u8]) -> Words {
        let mut found = Words::default();
        let mut at = 0;
        while let Some(start) = text[at..].iter().position(|b| is_word(*b)).map(|i| at + i) {
            let end = text[start..].iter().position(|b| !is_word(*b)).map_or(text.len(), |i| start + i);
            let word = &text[start..end];
            // Most words are none of these, by their first letter.
            match word[0] | 0x20 {
                b's' | b'l' | b'd' | b't' | b'p' => {
                    for (known, meaning) in WORDS {
                        let begins = word.len() >= known.len() && word[..known.len()].eq_ignore_ascii_case(known);
                        if begins && (word.len() == known.len() || FAMILIES.contains(&known)) {
                            found = found.and(meaning);
                        }
                    }
                    if word.eq_ignore_ascii_case(b"set") && sets_own(&text[end..]) {
                        found.lasts = true;
                    }
                }
                _ => {}
            }
            at = end;
        }
        found
    }

    pub(crate) fn and(self, other: Words) -> Words {
        Words {
            lasts: self.lasts || other.lasts,
            hides: self.hides || other.hides,
            configures: self.configures || other.configures,
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether what follows `SET` is the name of a setting with a dot.
fn sets_own(rest: &[u8]) -> bool {
    let mut rest = rest.trim_ascii_start();
    for scope in [&b"session"[..], b"local"] {
        if rest.len() > scope.len() && rest[..scope.len()].eq_ignore_ascii_case(scope) && !is_word(rest[scope.len()]) {
            rest = rest[scope.len()..].trim_ascii_start();
        }
    }
    // A comment there may hide anything.
    if rest.starts_with(b"/*") || rest.starts_with(b"--") {
        return true;
    }
    let end = match rest.first() {
        Some(b'"') => rest[1..].iter().position(|b| *b == b'"').map_or(rest.len(), |i| i + 1),
        _ => rest.iter().position(|b| !is_word(*b) && *b != b'$').unwrap_or(rest.len()),
    };
    rest[..end].contains(&b'.') || rest[end..].trim_ascii_start().trim_prefix_quote().starts_with(b".")
}

/// The text behind a closing quote.
trait TrimQuote {
    fn trim_prefix_quote(&self) -> &[u8];
}

impl TrimQuote for [u8] {
    fn trim_prefix_quote(&self) -> &[u8] {
        self.strip_prefix(b"\"").unwrap_or(self).trim_ascii_start()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reset_does_not_undo() {
        for text in [
            "select set_config('app.tenant', 'a', false)",
            "SELECT Set_Config('a.b', '', true)",
            "set app.tenant = 'a'",
            "SET LOCAL app.tenant TO 1",
            "set session \"app\".tenant = 1",
            "set \"app.tenant\" = 1",
            "set app . tenant = 1",
            "set /* x */ app.tenant = 1",
            "select 1; SET app.tenant='a'",
            "select setseed(0.5)",
            "load 'auto_explain'",
            "select dblink_connect('x', '')",
        ] {
            assert!(Words::of(text.as_bytes()).lasts, "{text}");
        }
        for text in [
            "select * from users",
            "set work_mem = '1MB'",
            "set local statement_timeout = 1.5",
            "set search_path to a, b",
            "update t set name = 'a.b' where t.id = 1",
            "insert into settings values ('x')",
            "select seed, loaded from seeds",
            "",
            "set",
        ] {
            assert_eq!(Words::of(text.as_bytes()), Words::default(), "{text}");
        }
    }

    #[test]
    fn what_makes_counters_worthless() {
        assert!(Words::of(b"set track_counts = off").hides);
        assert!(Words::of(b"select pg_stat_reset_single_table_counters(1)").hides);
        assert!(Words::of(b"alter system set work_mem = 1").configures);
    }
}

//! Strings put together at random: whatever they are, splitting them holds what it promises.

use std::hash::{BuildHasher, RandomState};

use super::super::split;
use super::kind;

#[test]
fn random_strings() {
    let seed = RandomState::new().hash_one("sql") | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    for _ in 0..4_000 {
        let sql = random.string();
        check(&sql, true);
        check(&sql, false);
    }
}

#[test]
fn every_prefix_of_a_long_string() {
    let mut sql = Vec::new();
    for part in [CONTROL, LITERALS, WORDS, PIECES].concat() {
        sql.extend(part.bytes());
        sql.push(b' ');
    }
    for end in 0..sql.len() {
        check(&sql[..end], true);
        check(&sql[end..], true);
    }
}

fn check(sql: &[u8], standard_conforming_strings: bool) {
    let shown = String::from_utf8_lossy(sql);
    let statements = split(sql, standard_conforming_strings);

    let mut end = 0;
    for statement in &statements {
        let range = statement.range.clone();
        assert!(end <= range.start && range.start < range.end && range.end <= sql.len(), "{range:?} of {shown:?}");
        assert!(split(&sql[end..range.start], true).is_empty(), "left out before {range:?} of {shown:?}");
        end = range.end;
    }
    assert!(split(&sql[end..], true).is_empty(), "left out behind {end} of {shown:?}");

    let texts: Vec<_> = statements.iter().map(|statement| &sql[statement.range.clone()]).collect();
    let joined = texts.join(&b';');
    let again = split(&joined, standard_conforming_strings);
    assert_eq!(statements.len(), again.len(), "{shown:?}");
    for (first, second) in statements.iter().zip(&again) {
        assert_eq!(sql[first.range.clone()], joined[second.range.clone()], "{shown:?}");
        assert_eq!((kind(sql, first), first.hints), (kind(&joined, second), second.hints), "{shown:?}");
    }
}

/// Xorshift: nothing here needs better.
pub(in crate::pg::sandbox) struct Random(pub(in crate::pg::sandbox) u64);

impl Random {
    pub(in crate::pg::sandbox) fn string(&mut self) -> Vec<u8> {
        let mut sql = Vec::new();
        for _ in 0..self.below(24) {
            match self.below(20) {
                0 => sql.push(self.below(255) as u8 + 1),
                1 => sql.extend(self.pick(CONTROL).to_uppercase().bytes()),
                2..=4 => sql.extend(self.pick(CONTROL).bytes()),
                5..=7 => sql.extend(self.pick(LITERALS).bytes()),
                8..=13 => sql.extend(self.pick(WORDS).bytes()),
                _ => sql.extend(self.pick(PIECES).bytes()),
            }
            if self.below(3) > 0 {
                sql.push(b' ');
            }
        }
        sql
    }

    pub(in crate::pg::sandbox) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    pub(in crate::pg::sandbox) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

#[rustfmt::skip]
const CONTROL: &[&str] = &[
    "begin", "begin work", "begin isolation level serializable", "start transaction read only", "commit", "end",
    "rollback", "rollback to", "savepoint a", "release savepoint", "set local a.b = 'c'", "set transaction",
    "set session characteristics as transaction", "prepare p as", "execute p", "deallocate all", "copy t from stdin",
    "declare c cursor for", "create function f() begin atomic", "create rule r as on insert to t do (", "and chain",
];

#[rustfmt::skip]
const LITERALS: &[&str] = &[
    "'a;b'", "''", "'it''s;'", r"E'\';'", r"'\'", "b'0;'", "x'f'", "N'n;'", "U&'a;'", "U&\"a;\"", "uescape '!'",
    "$$;$$", "$a$;$a$", "$a$ $b$", "\"a;\"", "\"\"\"\"", "'a'\n'b;'", "E'a'--;\n'\\';'", "/* ; */", "/* /* ; */ */",
    "--;\n", "1e5", "1_0", "0xf", "$1", ".5",
];

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "select", "case", "end", "atomic", "begin", "create", "function", "procedure", "or replace", "as", "to", "from",
    "all", "stdin", "transaction", "read", "only", "not", "deferrable", "isolation", "level", "local", "session",
    "explain", "table", "temp", "pg_advisory_lock", "set_config", "a$b", "é", "e", "u&", "x", "name",
];

#[rustfmt::skip]
const PIECES: &[&str] = &[
    ";", ";", ";", ";", ";", "(", ")", ",", ".", "=", "'", "\"", "$", "$$", "\\", "/*", "*/", "--", "\n", "\r", "\t",
    "\x0b", "-", "+", "*", "/", "1", "\u{a0}",
];

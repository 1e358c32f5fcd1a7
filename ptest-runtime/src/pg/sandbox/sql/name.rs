//! Identifiers as the server sees them: folded, unescaped, truncated.

use std::ops::Range;

use super::lexer::{Lexer, Token, TokenKind};

/// The longest name that a server keeps.
const MAX_LEN: usize = 63;

/// The name of a savepoint, prepared statement or cursor, where it stands in the query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ident {
    /// With its quotes, and with `UESCAPE '…'`.
    pub(crate) range: Range<usize>,
    pub(crate) quoted: bool,
}

impl Ident {
    /// The name itself: two identifiers are the same to the server exactly when these are equal.
    pub(crate) fn name(&self, sql: &[u8]) -> Vec<u8> {
        let text = sql.get(self.range.clone()).unwrap_or_default();
        let mut name = match text {
            [b'"', content @ .., b'"'] if self.quoted => unescape(content, None),
            _ if self.quoted => unicode(text),
            _ => text.to_ascii_lowercase(),
        };
        truncate(&mut name);
        name
    }
}

/// Whether a word is `keyword`, which is in lower case.
pub(super) fn eq(word: &[u8], keyword: &[u8]) -> bool {
    if word.len() != keyword.len() {
        return false;
    }
    let mut index = 0;
    while index < keyword.len() {
        if word[index] != keyword[index] && word[index] | 0x20 != keyword[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Whether a word without quotes may be the name of something: not a keyword that is reserved, nor one of those that
/// name functions and types only. `SYSTEM_USER`, reserved since 16, may.
pub(super) fn is_name(word: &[u8]) -> bool {
    let mut folded = [0; 17];
    let Some(folded) = folded.get_mut(..word.len()) else {
        return true;
    };
    folded.copy_from_slice(word);
    folded.make_ascii_lowercase();
    !RESERVED.iter().any(|keyword| keyword.as_bytes() == folded)
}

/// The content of `U&"…" [UESCAPE '…']`.
fn unicode(text: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer::new(text, 0, true);
    let name = lexer.next();
    lexer.next();
    let escape = escape_character(text, lexer.next()).unwrap_or(b'\\');
    unescape(text.get(3..name.end.saturating_sub(1)).unwrap_or_default(), Some(escape))
}

/// The character that `UESCAPE '…'` names, if the string is one character in plain quotes.
fn escape_character(text: &[u8], token: Token) -> Option<u8> {
    match &text[token.start..token.end] {
        [b'\'', escape, b'\''] if token.kind == TokenKind::String => Some(*escape),
        _ => None,
    }
}

fn unescape(content: &[u8], escape: Option<u8>) -> Vec<u8> {
    let mut name = Vec::with_capacity(content.len());
    let mut rest = content;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'"' {
            // The lexer saw to it that they come in pairs.
            rest = after.get(1..).unwrap_or_default();
            name.push(b'"');
        } else if Some(*byte) == escape
            && let Some((character, after)) = escaped(*byte, after)
        {
            rest = after;
            name.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            name.push(*byte);
        }
    }
    name
}

/// Reads what follows an escape character: itself, four hex digits, or `+` and six, two of them for a surrogate pair.
fn escaped(escape: u8, rest: &[u8]) -> Option<(char, &[u8])> {
    if let [byte, rest @ ..] = rest
        && *byte == escape
    {
        return Some((char::from(escape), rest));
    }
    let (code, rest) = code_point(rest)?;
    match code {
        0xd800..=0xdbff => {
            let (low, rest) = code_point(rest.strip_prefix(&[escape])?)?;
            let low = (0xdc00..=0xdfff).contains(&low).then_some(low)?;
            Some((char::from_u32(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00))?, rest))
        }
        _ => Some((char::from_u32(code)?, rest)),
    }
}

fn code_point(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = match rest {
        [b'+', rest @ ..] => rest.split_at_checked(6)?,
        _ => rest.split_at_checked(4)?,
    };
    let mut code = 0;
    for digit in digits {
        code = code * 16 + char::from(*digit).to_digit(16)?;
    }
    Some((code, rest))
}

/// Cuts a name to what the server keeps, at the border of a (UTF-8) character.
fn truncate(name: &mut Vec<u8>) {
    if name.len() > MAX_LEN {
        let mut len = MAX_LEN;
        while len > 0 && name[len] & 0xc0 == 0x80 {
            len -= 1;
        }
        name.truncate(len);
    }
}

#[rustfmt::skip]
const RESERVED: [&str; 100] = [
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "binary", "both",
    "case", "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create", "cross",
    "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
    "current_user", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for",
    "foreign", "freeze", "from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect",
    "into", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp",
    "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "placing",
    "primary", "references", "returning", "right", "select", "session_user", "similar", "some", "symmetric", "table",
    "tablesample", "then", "to", "trailing", "true", "union", "unique", "user", "using", "variadic", "verbose", "when",
    "where", "window", "with",
];

//! The tokens of a query string, cut as the server's scanner (`scan.l`) cuts them.
//!
//! Only boundaries matter here: an operator is a token per character, a number may be several, and no literal is
//! decoded. Written with indexes and a table instead of iterators, because it runs on every statement of a test, and
//! tests are built unoptimised.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An identifier or keyword without quotes.
    Word,
    /// `"…"`
    Quoted,
    /// `U&"…"`, without the `UESCAPE` that may follow.
    UnicodeQuoted,
    /// `'…'`, `E'…'`, `$tag$…$tag$`: what the grammar takes as a string.
    String,
    /// `U&'…'`, without the `UESCAPE` that may follow.
    UnicodeString,
    /// `B'…'` and `X'…'`
    Bits,
    /// Digits, or a parameter as `$1`. What else belongs to a number (`1e5`, `.5`, `0xff`, `1_000`) is further tokens:
    /// versions differ in it, and where it would matter, before a string, all of them find a syntax error.
    Number,
    /// Any other character.
    Char(u8),
    /// The end of the input.
    End,
    /// A literal or comment without its end, or one that the scanner rejects: the server runs nothing of the string.
    Broken,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    sql: &'a [u8],
    pub(super) pos: usize,
    standard_conforming_strings: bool,
}

impl<'a> Lexer<'a> {
    /// Reads `sql` from `pos` on.
    pub(super) fn new(sql: &'a [u8], pos: usize, standard_conforming_strings: bool) -> Self {
        Lexer { sql, pos, standard_conforming_strings }
    }

    pub(super) fn sql(&self) -> &'a [u8] {
        self.sql
    }

    pub(super) fn standard_conforming_strings(&self) -> bool {
        self.standard_conforming_strings
    }

    pub(super) fn next(&mut self) -> Token {
        let sql = self.sql;
        let Some(start) = blank(sql, self.pos) else {
            return self.token(TokenKind::Broken, self.pos, None);
        };
        if start >= sql.len() {
            return self.token(TokenKind::End, start, Some(start));
        }
        let byte = sql[start];
        let class = CLASS[byte as usize];
        if class & LETTER != 0 {
            return self.word(start);
        }
        if class & DIGIT != 0 {
            return self.token(TokenKind::Number, start, Some(digits(sql, start)));
        }
        match byte {
            b'\'' => {
                let escapes = !self.standard_conforming_strings;
                self.token(TokenKind::String, start, string(sql, start + 1, escapes))
            }
            b'"' => self.token(TokenKind::Quoted, start, quoted(sql, start + 1)),
            b'$' => self.dollar(start),
            _ => self.token(TokenKind::Char(byte), start, Some(start + 1)),
        }
    }

    /// A word, unless it is the prefix of a literal: the scanner takes the longest match, so only a lone letter is one.
    fn word(&mut self, start: usize) -> Token {
        let sql = self.sql;
        let mut end = start + 1;
        while end < sql.len() && CLASS[sql[end] as usize] & (LETTER | DIGIT | DOLLAR) != 0 {
            end += 1;
        }
        if end == start + 1 && end < sql.len() {
            match (sql[start], sql[end]) {
                (b'e' | b'E', b'\'') => {
                    return self.token(TokenKind::String, start, string(sql, end + 1, true));
                }
                (b'b' | b'B' | b'x' | b'X', b'\'') => {
                    return self.token(TokenKind::Bits, start, string(sql, end + 1, false));
                }
                (b'u' | b'U', b'&') if end + 1 < sql.len() && sql[end + 1] == b'"' => {
                    return self.token(TokenKind::UnicodeQuoted, start, quoted(sql, end + 2));
                }
                (b'u' | b'U', b'&') if end + 1 < sql.len() && sql[end + 1] == b'\'' => {
                    // With backslash escapes in plain strings, the scanner rejects this form.
                    let close = self.standard_conforming_strings.then(|| string(sql, end + 2, false));
                    return self.token(TokenKind::UnicodeString, start, close.flatten());
                }
                _ => {}
            }
        }
        self.token(TokenKind::Word, start, Some(end))
    }

    /// `$1`, `$tag$…$tag$`, or a lone `$`.
    fn dollar(&mut self, start: usize) -> Token {
        let sql = self.sql;
        let mut end = start + 1;
        if is(sql, end, DIGIT) {
            return self.token(TokenKind::Number, start, Some(digits(sql, end)));
        }
        while is(sql, end, LETTER | DIGIT) {
            end += 1;
        }
        if end < sql.len() && sql[end] == b'$' {
            return self.token(TokenKind::String, start, dollar_quoted(sql, start, end + 1));
        }
        self.token(TokenKind::Char(b'$'), start, Some(start + 1))
    }

    fn token(&mut self, kind: TokenKind, start: usize, end: Option<usize>) -> Token {
        match end {
            Some(end) => {
                self.pos = end;
                Token { kind, start, end }
            }
            None => Token { kind: TokenKind::Broken, start, end: self.sql.len() },
        }
    }
}

/// Skips white space and comments; `None` where a comment has no end.
fn blank(sql: &[u8], mut pos: usize) -> Option<usize> {
    while pos < sql.len() {
        let byte = sql[pos];
        if CLASS[byte as usize] & SPACE != 0 {
            pos += 1;
        } else if byte == b'-' && pos + 1 < sql.len() && sql[pos + 1] == b'-' {
            pos = line_end(sql, pos);
        } else if byte == b'/' && pos + 1 < sql.len() && sql[pos + 1] == b'*' {
            pos = block_comment(sql, pos + 2)?;
        } else {
            break;
        }
    }
    Some(pos)
}

fn line_end(sql: &[u8], mut pos: usize) -> usize {
    while pos < sql.len() && sql[pos] != b'\n' && sql[pos] != b'\r' {
        pos += 1;
    }
    pos
}

/// The end of a `/* … */` that began before `pos`; they nest.
fn block_comment(sql: &[u8], mut pos: usize) -> Option<usize> {
    let mut depth = 1;
    while pos + 1 < sql.len() {
        match (sql[pos], sql[pos + 1]) {
            (b'*', b'/') => {
                pos += 2;
                depth -= 1;
                if depth == 0 {
                    return Some(pos);
                }
            }
            (b'/', b'*') => {
                pos += 2;
                depth += 1;
            }
            _ => pos += 1,
        }
    }
    None
}

/// The end of a string whose content starts at `pos`, with all its continuations on further lines.
fn string(sql: &[u8], mut pos: usize, escapes: bool) -> Option<usize> {
    loop {
        while pos < sql.len() && sql[pos] != b'\'' {
            pos += if escapes && sql[pos] == b'\\' { 2 } else { 1 };
        }
        if pos >= sql.len() {
            return None;
        }
        pos += 1;
        // In `B'…'` this begins another string, but the grammar takes none right behind one.
        if pos < sql.len() && sql[pos] == b'\'' {
            pos += 1;
        } else if let Some(content) = continuation(sql, pos) {
            pos = content;
        } else {
            return Some(pos);
        }
    }
}

/// Where a string goes on after a closing quote: behind a quote that only white space and `--` comments with at least
/// one newline among them separate from it.
fn continuation(sql: &[u8], mut pos: usize) -> Option<usize> {
    let mut newline = false;
    while pos < sql.len() {
        let byte = sql[pos];
        if CLASS[byte as usize] & SPACE != 0 {
            newline |= byte == b'\n' || byte == b'\r';
            pos += 1;
        } else if byte == b'-' && pos + 1 < sql.len() && sql[pos + 1] == b'-' {
            pos = line_end(sql, pos);
        } else {
            return (newline && byte == b'\'').then_some(pos + 1);
        }
    }
    None
}

/// The end of an identifier in double quotes whose content starts at `content`; an empty one is an error.
fn quoted(sql: &[u8], content: usize) -> Option<usize> {
    let mut pos = content;
    while pos < sql.len() {
        if sql[pos] != b'"' {
            pos += 1;
        } else if pos + 1 < sql.len() && sql[pos + 1] == b'"' {
            pos += 2;
        } else {
            return (pos > content).then_some(pos + 1);
        }
    }
    None
}

/// The end of a dollar-quoted string whose delimiter is `start..content`.
fn dollar_quoted(sql: &[u8], start: usize, content: usize) -> Option<usize> {
    let mut pos = content;
    while pos < sql.len() {
        if sql[pos] != b'$' {
            pos += 1;
            continue;
        }
        let opening = pos;
        pos += 1;
        while is(sql, pos, LETTER | DIGIT) {
            pos += 1;
        }
        // Otherwise this `$` may be the first of the delimiter: it is looked at again.
        if pos < sql.len() && sql[pos] == b'$' && sql[opening..pos] == sql[start..content - 1] {
            return Some(pos + 1);
        }
    }
    None
}

fn digits(sql: &[u8], mut pos: usize) -> usize {
    while is(sql, pos, DIGIT) {
        pos += 1;
    }
    pos
}

fn is(sql: &[u8], pos: usize, class: u8) -> bool {
    pos < sql.len() && CLASS[sql[pos] as usize] & class != 0
}

const SPACE: u8 = 1;
/// What may start an identifier: a letter, `_`, or any byte of a character outside ASCII.
const LETTER: u8 = 2;
const DIGIT: u8 = 4;
const DOLLAR: u8 = 8;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            // The vertical tab is white space since 16; before, it is an error.
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => LETTER,
            b'0'..=b'9' => DIGIT,
            b'$' => DOLLAR,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

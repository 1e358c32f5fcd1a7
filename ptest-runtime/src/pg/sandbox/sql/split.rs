//! A query string cut into its statements, in one pass; only what may be more than a plain query is read again.

use std::ops::Range;

use super::grammar::classify;
use super::lexer::{Lexer, Token, TokenKind};
use super::name::eq;
use super::statement::{Hints, Kind, Statement};

/// The statements of a query string. Empty ones, of white space and comments only, are left out.
///
/// A string that the scanner rejects as a whole, for a literal or a comment without its end, is one [`Kind::Other`].
///
/// `standard_conforming_strings` is the session's setting when the string arrives: the server reads all of the string
/// before it runs the first statement.
pub(crate) fn split(sql: &[u8], standard_conforming_strings: bool) -> Vec<Statement> {
    let mut lexer = Lexer::new(sql, 0, standard_conforming_strings);
    let mut statements = Vec::new();
    loop {
        match extent(&mut lexer) {
            Extent::Statement { first, end, hints } => {
                statements.push(statement(&lexer, first, end, hints));
            }
            Extent::Empty => {}
            Extent::End => return statements,
            Extent::Broken { start, hints } => return vec![broken(sql, &statements, start, hints)],
        }
    }
}

/// Where the statements of a script stand.
pub(crate) fn ranges(sql: &[u8]) -> impl ExactSizeIterator<Item = Range<usize>> {
    split(sql, true).into_iter().map(|statement| statement.range)
}

/// The first statement of a script at or behind `pos`, and where what follows it begins. It is empty where psql reads a
/// command, which a backslash begins.
pub(crate) fn next_statement(sql: &[u8], pos: usize) -> Option<(Range<usize>, usize)> {
    let mut lexer = Lexer::new(sql, pos, true);
    loop {
        let before = lexer;
        let first = lexer.next();
        if first.kind == TokenKind::Char(b'\\') {
            return Some((first.start..first.start, first.end));
        }
        lexer = before;
        match extent(&mut lexer) {
            Extent::Statement { first, end, .. } => return Some((first.start..end, lexer.pos)),
            Extent::Empty => {}
            Extent::End => return None,
            Extent::Broken { start, .. } => return Some((start..sql.len(), sql.len())),
        }
    }
}

/// The words of a statement that are no literals, in lower case.
pub(crate) fn words(sql: &[u8]) -> impl Iterator<Item = String> {
    let word = |token: Token| String::from_utf8_lossy(&sql[token.start..token.end]).to_ascii_lowercase();
    tokens(sql).filter(|token| token.kind == TokenKind::Word).map(word)
}

/// Where a statement has a character outside of words and literals.
pub(crate) fn characters(sql: &[u8], character: u8) -> impl Iterator<Item = usize> {
    tokens(sql).filter(move |token| token.kind == TokenKind::Char(character)).map(|token| token.start)
}

fn tokens(sql: &[u8]) -> impl Iterator<Item = Token> {
    let mut lexer = Lexer::new(sql, 0, true);
    std::iter::from_fn(move || {
        let token = lexer.next();
        (!matches!(token.kind, TokenKind::End | TokenKind::Broken)).then_some(token)
    })
}

fn statement(lexer: &Lexer<'_>, first: Token, end: usize, hints: Hints) -> Statement {
    let kind = match first.kind {
        TokenKind::Word => classify(&lexer.sql()[..end], first, lexer.standard_conforming_strings()),
        _ => Kind::Other,
    };
    let hints = match kind {
        Kind::Begin { .. } | Kind::SetTransaction { .. } | Kind::SetSessionCharacteristics { .. } => {
            hints.without(Hints::DEFERRABLE)
        }
        _ => hints,
    };
    Statement { range: first.start..end, kind, hints }
}

fn broken(sql: &[u8], before: &[Statement], start: usize, hints: Hints) -> Statement {
    let start = before.first().map_or(start, |first| first.range.start);
    let hints = before.iter().fold(hints, |hints, statement| hints | statement.hints);
    Statement { range: start..sql.len(), kind: Kind::Other, hints }
}

enum Extent {
    Statement { first: Token, end: usize, hints: Hints },
    Empty,
    End,
    Broken { start: usize, hints: Hints },
}

/// Reads up to the `;` that ends a statement, or to the end.
fn extent(lexer: &mut Lexer<'_>) -> Extent {
    let sql = lexer.sql();
    let mut first: Option<Token> = None;
    let mut end = 0;
    let mut hints = Hints::empty();
    // `CREATE RULE … DO (a; b)` is the only place of a `;` in parentheses; elsewhere it is a syntax error.
    let mut parentheses = 0u32;
    let mut routine = Routine::default();
    let mut previous: &[u8] = b"";
    loop {
        let token = lexer.next();
        let mut word: &[u8] = b"";
        match token.kind {
            TokenKind::Word => {
                word = &sql[token.start..token.end];
                hints |= mention(word, previous);
                if routine.head != Head::Other {
                    routine.word(word, previous, parentheses);
                }
            }
            TokenKind::Char(b';') if parentheses == 0 => match first {
                _ if routine.is_open() => routine.head = Head::Start,
                Some(first) => return Extent::Statement { first, end, hints },
                None => return Extent::Empty,
            },
            TokenKind::End => match first {
                Some(first) => return Extent::Statement { first, end, hints },
                None => return Extent::End,
            },
            TokenKind::Broken => {
                return Extent::Broken { start: first.map_or(token.start, |first| first.start), hints };
            }
            TokenKind::Char(b'(') => parentheses += 1,
            TokenKind::Char(b')') => parentheses = parentheses.saturating_sub(1),
            TokenKind::Quoted => hints |= mention_quoted(&sql[token.start + 1..token.end - 1]),
            _ => {}
        }
        first = first.or(Some(token));
        end = token.end;
        // Only what stands side by side counts: `SET search_path = begin, atomic` opens no body.
        previous = word;
    }
}

/// Follows `CREATE FUNCTION … BEGIN ATOMIC a; b; END`, whose semicolons end nothing.
///
/// Every statement of such a body ends in `;`, so the `END` that closes it is the one where a statement would start:
/// the `END` of a `CASE`, or a column of that name, never stands there.
#[derive(Default)]
struct Routine {
    head: Head,
    /// Bodies that are open; the grammar nests them.
    depth: u32,
}

/// How far the statement, or the one inside a body, looks like the creation of a routine.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Head {
    #[default]
    Start,
    Create,
    CreateOr,
    Routine,
    Other,
}

impl Routine {
    fn is_open(&self) -> bool {
        self.depth > 0
    }

    fn word(&mut self, word: &[u8], previous: &[u8], parentheses: u32) {
        self.head = match self.head {
            Head::Start if eq(word, b"create") => Head::Create,
            Head::Start if self.depth > 0 && eq(word, b"end") => {
                self.depth -= 1;
                Head::Other
            }
            Head::Create if eq(word, b"or") => Head::CreateOr,
            Head::CreateOr if eq(word, b"replace") => Head::Create,
            Head::Create if eq(word, b"function") || eq(word, b"procedure") => Head::Routine,
            Head::Routine if parentheses == 0 && eq(word, b"atomic") && eq(previous, b"begin") => {
                self.depth += 1;
                Head::Start
            }
            Head::Routine => Head::Routine,
            _ => Head::Other,
        };
    }
}

fn mention(word: &[u8], previous: &[u8]) -> Hints {
    match word[0] | 0x20 {
        b'c' if eq(word, b"cursor") => Hints::CURSOR,
        b'd' if eq(word, b"declare") => Hints::CURSOR,
        b'd' if eq(word, b"deferrable") => Hints::DEFERRABLE,
        b'd' if eq(word, b"deferred") && eq(previous, b"initially") => Hints::DEFERRABLE,
        b't' if eq(word, b"temp") || eq(word, b"temporary") => Hints::TEMP,
        b't' if eq(word, b"trigger") && eq(previous, b"constraint") => Hints::DEFERRABLE,
        b'p' | b'r' | b's' => mention_name(word),
        _ => Hints::empty(),
    }
}

/// A quoted identifier is no keyword, but may be the name of a function, type or schema.
fn mention_quoted(name: &[u8]) -> Hints {
    match name[0] {
        b'p' | b'r' | b's' => mention_name(name),
        _ => Hints::empty(),
    }
}

fn mention_name(name: &[u8]) -> Hints {
    let starts_with = |prefix: &[u8]| name.len() >= prefix.len() && eq(&name[..prefix.len()], prefix);
    if eq(name, b"set_config") {
        Hints::SET_CONFIG
    } else if eq(name, b"refcursor") {
        Hints::CURSOR
    } else if starts_with(b"pg_temp") {
        Hints::TEMP
    } else if starts_with(b"pg_advisory") || starts_with(b"pg_try_advisory") {
        Hints::ADVISORY
    } else {
        Hints::empty()
    }
}

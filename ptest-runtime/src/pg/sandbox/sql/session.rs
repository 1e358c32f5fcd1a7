//! The statements that change or read what belongs to a session: settings, prepared statements, cursors, copies.

use std::ops::Range;

use super::analysis::table_as;
use super::grammar::Parser;
use super::lexer::TokenKind;
use super::statement::{Kind, Modes};

pub(super) fn set(parser: &mut Parser<'_>) -> Option<Kind> {
    // `local` and `session` are also names of settings, so the forms without them are tried first.
    if let Some(kind) = set_rest(*parser, false) {
        return Some(kind);
    }
    if parser.accept(b"constraints") {
        return parser.more(Kind::SetConstraints);
    }
    let local = parser.accept(b"local");
    if local || parser.accept(b"session") { set_rest(*parser, local) } else { None }
}

fn set_rest(parser: Parser<'_>, local: bool) -> Option<Kind> {
    if let Some((name, value)) = assignment(parser) {
        return Some(Kind::Set { local, name, value });
    }
    let mut parser = parser;
    if parser.accept(b"transaction") {
        if parser.accept(b"snapshot") {
            parser.string()?;
            return parser.end(Kind::SetTransactionSnapshot);
        }
        return Some(Kind::SetTransaction { modes: some_modes(&mut parser)? });
    }
    if parser.accept(b"session") {
        if parser.accept(b"authorization") {
            return special(parser, local, "session_authorization");
        }
        parser.expect(b"characteristics")?;
        parser.expect(b"as")?;
        parser.expect(b"transaction")?;
        return Some(Kind::SetSessionCharacteristics { local, modes: some_modes(&mut parser)? });
    }
    if parser.accept(b"time") {
        parser.expect(b"zone")?;
        special(parser, local, "timezone")
    } else if parser.accept(b"role") {
        special(parser, local, "role")
    } else if parser.accept(b"schema") {
        special(parser, local, "search_path")
    } else if parser.accept(b"xml") {
        parser.expect(b"option")?;
        special(parser, local, "xmloption")
    } else if parser.accept(b"names") {
        Some(Kind::Set { local, name: "client_encoding".to_owned(), value: parser.rest() })
    } else {
        None
    }
}

/// `name {=|TO} value …` or `name FROM CURRENT`.
fn assignment(mut parser: Parser<'_>) -> Option<(String, Range<usize>)> {
    let name = setting(&mut parser)?;
    let value = parser.rest();
    if parser.accept(b"from") {
        parser.expect(b"current")?;
        return parser.is_end().then_some((name, value));
    }
    if !parser.accept_char(b'=') {
        parser.expect(b"to")?;
    }
    (!parser.is_end()).then(|| (name, parser.rest()))
}

fn special(parser: Parser<'_>, local: bool, name: &str) -> Option<Kind> {
    parser.more(Kind::Set { local, name: name.to_owned(), value: parser.rest() })
}

fn some_modes(parser: &mut Parser<'_>) -> Option<Modes> {
    if parser.is_end() { None } else { parser.modes() }
}

/// The name of a setting, in lower case: the server compares them without regard to case, quoted or not.
fn setting(parser: &mut Parser<'_>) -> Option<String> {
    let mut name = Vec::new();
    loop {
        name.extend(parser.name()?.name(parser.sql()));
        if !parser.accept_char(b'.') {
            name.make_ascii_lowercase();
            return Some(String::from_utf8_lossy(&name).into_owned());
        }
        name.push(b'.');
    }
}

pub(super) fn reset(parser: &mut Parser<'_>) -> Option<Kind> {
    Some(Kind::Reset { name: setting_or_all(parser)? })
}

pub(super) fn show(parser: &mut Parser<'_>) -> Option<Kind> {
    Some(Kind::Show { name: setting_or_all(parser)? })
}

fn setting_or_all(parser: &mut Parser<'_>) -> Option<Option<String>> {
    let mut named = *parser;
    if let Some(name) = setting(&mut named)
        && named.is_end()
    {
        return Some(Some(name));
    }
    let name = if parser.accept(b"all") {
        None
    } else if parser.accept(b"time") {
        parser.expect(b"zone")?;
        Some("timezone")
    } else if parser.accept(b"transaction") {
        parser.expect(b"isolation")?;
        parser.expect(b"level")?;
        Some("transaction_isolation")
    } else {
        parser.expect(b"session")?;
        parser.expect(b"authorization")?;
        Some("session_authorization")
    };
    parser.is_end().then(|| name.map(str::to_owned))
}

pub(super) fn discard(parser: &mut Parser<'_>) -> Option<Kind> {
    let kind = if parser.accept(b"all") {
        Kind::DiscardAll
    } else if parser.accept_any(&[b"plans", b"sequences", b"temp", b"temporary"]) {
        Kind::DiscardOther
    } else {
        return None;
    };
    parser.end(kind)
}

pub(super) fn prepare(parser: &mut Parser<'_>) -> Option<Kind> {
    let mut transaction = *parser;
    if transaction.accept(b"transaction") && transaction.string().is_some() {
        return transaction.end(Kind::PrepareTransaction);
    }
    let name = parser.name()?;
    (parser.at(b"as") || parser.kind() == TokenKind::Char(b'(')).then_some(Kind::Prepare { name })
}

pub(super) fn execute(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = parser.name()?;
    // What may follow are parameters, or `WITH [NO] DATA` inside of `CREATE TABLE … AS`.
    Some(Kind::Execute { name })
}

pub(super) fn explain(parser: &mut Parser<'_>) -> Option<Kind> {
    if parser.kind() == TokenKind::Char(b'(') {
        skip_parentheses(parser);
    } else {
        parser.accept_any(&[b"analyze", b"analyse"]);
        parser.accept(b"verbose");
    }
    if parser.accept(b"execute") {
        return execute(parser);
    }
    parser.expect(b"create")?;
    execute_to_table(*parser)
}

/// `CREATE [TEMP|…] TABLE … AS EXECUTE name`, behind its first word.
pub(super) fn execute_to_table(parser: Parser<'_>) -> Option<Kind> {
    let mut query = table_as(parser)?;
    query.expect(b"execute")?;
    execute(&mut query)
}

/// Skips `( … )`, at whose first token the parser is.
pub(super) fn skip_parentheses(parser: &mut Parser<'_>) {
    let mut depth = 0u32;
    while !parser.is_end() {
        match parser.kind() {
            TokenKind::Char(b'(') => depth += 1,
            TokenKind::Char(b')') => depth -= 1,
            _ => {}
        }
        parser.advance();
        if depth == 0 {
            return;
        }
    }
}

pub(super) fn deallocate(parser: &mut Parser<'_>) -> Option<Kind> {
    let mut prepared = *parser;
    if prepared.accept(b"prepare") && !prepared.is_end() {
        *parser = prepared;
    }
    let name = if parser.accept(b"all") { None } else { Some(parser.name()?) };
    parser.end(Kind::Deallocate { name })
}

pub(super) fn declare(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = parser.name()?;
    while !parser.accept(b"cursor") {
        parser.accept(b"no");
        if !parser.accept_any(&[b"binary", b"scroll", b"insensitive", b"asensitive"]) {
            return None;
        }
    }
    let hold = parser.accept(b"with");
    if hold || parser.accept(b"without") {
        parser.expect(b"hold")?;
    }
    parser.expect(b"for")?;
    parser.more(Kind::Declare { name, hold })
}

pub(super) fn close(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = if parser.accept(b"all") { None } else { Some(parser.name()?) };
    parser.end(Kind::Close { name })
}

/// `COPY [BINARY] table [(columns)] {FROM|TO} …` or `COPY (query) TO …`.
pub(super) fn copy(parser: &mut Parser<'_>) -> Option<Kind> {
    loop {
        match parser.kind() {
            TokenKind::End | TokenKind::Broken => return None,
            TokenKind::Char(b'(') => skip_parentheses(parser),
            TokenKind::Char(b'.') => {
                parser.advance();
                parser.advance();
            }
            _ if parser.at(b"from") || parser.at(b"to") => break,
            _ => {
                parser.advance();
            }
        }
    }
    let from = parser.at(b"from");
    parser.advance();
    // The server takes either word for the client, whatever the direction.
    let client = parser.at(b"stdin") || parser.at(b"stdout");
    Some(Kind::Copy { from_stdin: from && client, to_stdout: !from && client })
}

pub(super) fn listen(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.name()?;
    parser.end(Kind::Listen)
}

pub(super) fn unlisten(parser: &mut Parser<'_>) -> Option<Kind> {
    if !parser.accept_char(b'*') {
        parser.name()?;
    }
    parser.end(Kind::Unlisten)
}

pub(super) fn notify(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.name()?;
    if parser.accept_char(b',') {
        parser.string()?;
    }
    parser.end(Kind::Notify)
}

//! What a server analyses before it runs it (`stmt_requires_parse_analysis`): for that it takes a snapshot, when the
//! statement is prepared and when it is bound.

use super::grammar::Parser;
use super::lexer::{Lexer, TokenKind};
use super::session::skip_parentheses;

/// Whether the server analyses a statement, given from its first token: a query, or what has one inside.
pub(crate) fn is_analysed(statement: &[u8], standard_conforming_strings: bool) -> bool {
    const QUERIES: [&[u8]; 8] = [b"select", b"insert", b"update", b"delete", b"merge", b"values", b"with", b"table"];
    let mut parser = Parser::new(Lexer::new(statement, 0, standard_conforming_strings));
    if parser.accept(b"create") {
        let mut view = parser;
        view.accept(b"unlogged");
        return view.accept(b"materialized") || table_as(parser).is_some();
    }
    parser.kind() == TokenKind::Char(b'(')
        || parser.accept_any(&QUERIES)
        || parser.accept_any(&[b"explain", b"declare", b"call"])
}

/// The query in `[TEMP|…] TABLE … AS query`.
pub(super) fn table_as(mut parser: Parser<'_>) -> Option<Parser<'_>> {
    parser.accept_any(&[b"global", b"local"]);
    parser.accept_any(&[b"temp", b"temporary", b"unlogged"]);
    parser.expect(b"table")?;
    loop {
        match parser.kind() {
            TokenKind::End | TokenKind::Broken => return None,
            TokenKind::Char(b'(') => skip_parentheses(&mut parser),
            // Behind a dot, every keyword is a name.
            TokenKind::Char(b'.') => {
                parser.advance();
                parser.advance();
            }
            _ if parser.accept(b"as") => return Some(parser),
            _ => {
                parser.advance();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_what_has_one_inside_are_analysed() {
        for sql in [
            "select 1 into t",
            "(values (1))",
            "TABLE t",
            "explain analyze execute q",
            "declare c cursor for select 1",
            "call p()",
            "create table t as execute q",
            "create temp table if not exists a.t (a, b) on commit drop as (select 1)",
            "create unlogged materialized view v as select 1",
        ] {
            assert!(is_analysed(sql.as_bytes(), true), "{sql}");
        }
        for sql in [
            "create table t (a int generated always as identity)",
            "create view v as select 1",
            "prepare q as select 1",
            "execute q",
            "copy (select 1) to stdout",
            "fetch c",
            "do 'x'",
            "",
        ] {
            assert!(!is_analysed(sql.as_bytes(), true), "{sql}");
        }
    }
}

//! The statements that a server refuses inside of a transaction block: for a hint, so some that it refuses only with
//! certain options are among them.

use super::grammar::Parser;
use super::statement::Kind;

pub(super) fn create(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = if parser.at(b"database") {
        "CREATE DATABASE"
    } else if parser.at(b"tablespace") {
        "CREATE TABLESPACE"
    } else if parser.at(b"subscription") {
        "CREATE SUBSCRIPTION"
    } else {
        parser.accept(b"unique");
        parser.expect(b"index")?;
        parser.expect(b"concurrently")?;
        "CREATE INDEX CONCURRENTLY"
    };
    Some(Kind::NeedsAutocommit(name))
}

pub(super) fn drop(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = if parser.at(b"database") {
        "DROP DATABASE"
    } else if parser.at(b"tablespace") {
        "DROP TABLESPACE"
    } else if parser.at(b"subscription") {
        "DROP SUBSCRIPTION"
    } else {
        parser.expect(b"index")?;
        parser.expect(b"concurrently")?;
        "DROP INDEX CONCURRENTLY"
    };
    Some(Kind::NeedsAutocommit(name))
}

pub(super) fn alter(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = if parser.at(b"system") {
        "ALTER SYSTEM"
    } else if parser.accept(b"database") {
        mentions(parser, b"tablespace")?;
        "ALTER DATABASE SET TABLESPACE"
    } else if parser.accept(b"subscription") {
        mentions(parser, b"publication")?;
        "ALTER SUBSCRIPTION"
    } else {
        parser.expect(b"table")?;
        mentions(parser, b"detach")?;
        mentions(parser, b"concurrently")?;
        "ALTER TABLE DETACH CONCURRENTLY"
    };
    Some(Kind::NeedsAutocommit(name))
}

pub(super) fn reindex(parser: &mut Parser<'_>) -> Option<Kind> {
    // Partitioned tables and indexes, too, but their names do not say so.
    let all = [&b"concurrently"[..], b"schema", b"database", b"system"];
    while !parser.is_end() {
        if parser.accept_any(&all) {
            return Some(Kind::NeedsAutocommit("REINDEX"));
        }
        parser.advance();
    }
    None
}

/// Only without a table: `CLUSTER [VERBOSE]`.
pub(super) fn cluster(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.accept(b"verbose");
    parser.end(Kind::NeedsAutocommit("CLUSTER"))
}

fn mentions(parser: &mut Parser<'_>, keyword: &[u8]) -> Option<()> {
    while !parser.is_end() {
        if parser.accept(keyword) {
            return Some(());
        }
        parser.advance();
    }
    None
}

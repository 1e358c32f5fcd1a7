//! What a client's query string asks of its session: the statements in it, and which of them control the transaction.
//!
//! ```text
//! split      a query string to statements: where each begins and ends, what it mentions
//! lexer      the server's scanner (scan.l): comments, literals, words
//! grammar    one statement to its kind; transaction control to the last token
//! modes      … the modes of a transaction
//! session    … settings, prepared statements, cursors, COPY
//! analysis   … what a server analyses before it runs it
//! autocommit … what a server runs only outside a transaction
//! name       identifiers, folded as the server folds them
//! ```
//!
//! Invariants:
//! - A string that a server (13 to 18) accepts is cut exactly where the server cuts it, and transaction control in it
//!   is recognised, all of it and nothing else. In a string that the server rejects for its syntax nothing runs, so
//!   there only the ranges are promised to lie in the string, in order and apart.
//! - No input panics, and the time is linear in its length.
//!
//! The input is bytes as the client sends them, of any encoding whose ASCII bytes mean ASCII. In the encodings where
//! `\` may be the second byte of a character (SJIS, BIG5, GBK, GB18030, UHC, JOHAB), that byte is taken for an escape
//! inside `E'…'`.

mod analysis;
mod autocommit;
mod grammar;
mod lexer;
mod modes;
mod name;
mod session;
mod split;
mod statement;
#[cfg(test)]
mod tests;

pub(crate) use analysis::is_analysed;
pub(crate) use name::Ident;
pub(crate) use split::{characters, next_statement, ranges, split, words};
pub(crate) use statement::{Hints, Isolation, Kind, Modes, Statement};
#[cfg(test)]
pub(super) use tests::Random;

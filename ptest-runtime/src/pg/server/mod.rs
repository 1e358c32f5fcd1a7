//! The server that holds every database of ptest: named by a URL, or ptest's own.
//!
//! ptest makes its own databases there and never touches the one that the URL names.

mod address;
mod admin;
mod auth;
mod connection;
mod find;
mod own;
mod url;

pub(crate) use address::{Address, Endpoint};
pub(crate) use admin::Admin;
pub(crate) use connection::{BackendKey, Connection, DbError, Greeted, QueryError, Refusal, Rows, Stream};

pub(crate) use url::{url, url_of};

pub(crate) use find::{Offers, claims, find, find_running, is_ending, is_kept, revive, stop};
pub(crate) use own::Stopped;

use std::io;

use crate::error::{Class, Failure};

/// What ptest's own sessions in the databases of tests are called (`application_name`).
pub(crate) const APPLICATION: &str = "ptest";

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error(transparent)]
    Own(#[from] own::OwnServerError),
    #[error("cannot use the URL in {origin}: {reason}")]
    Url { origin: String, reason: String },
    #[error("cannot use the URL in {origin}: it demands TLS, which ptest does not speak")]
    Tls { origin: String },
    #[error("cannot use PTEST_SINGLE_DATABASE, for no URL names its server")]
    SingleOfNone,
    #[error("cannot connect to the PostgreSQL server at {address} (from {})", address.origin)]
    Connect { address: Box<Address>, source: io::Error },
    #[error("cannot connect to database `{database}` at {address} (from {})", address.origin)]
    Refused { address: Box<Address>, database: String, source: DbError },
    #[error("cannot run an administrative statement at {address} (from {}): {statement}", address.origin)]
    Admin { address: Box<Address>, statement: String, source: QueryError },
    #[error(
        "cannot use the PostgreSQL server at {address} (from {}): it is version {version}, and ptest needs 13 or newer",
        address.origin
    )]
    TooOld { address: Box<Address>, version: String },
}

/// What to do about SQLSTATE 53100.
pub(crate) const DISK_FULL: &str =
    "free disk space on the server: each test that runs at once needs a copy of the template";

impl Failure for ServerError {
    fn help(&self) -> Option<String> {
        let own = "set PTEST_DATABASE_URL=own and ptest starts a server of its own";
        match self {
            ServerError::Own(e) => e.help(),
            ServerError::Url { .. } => Some(format!("write postgres://user:password@host:port/database; or {own}")),
            ServerError::Tls { .. } => {
                Some("use sslmode=prefer or disable; test data needs a server on a trusted network".to_owned())
            }
            ServerError::SingleOfNone => Some(
                "set DATABASE_URL to that server; or unset PTEST_SINGLE_DATABASE, and ptest starts a server of its own, \
                 where it makes its databases itself"
                    .to_owned(),
            ),
            ServerError::Connect { address, .. } => {
                Some(format!("start that server, or correct {}; or {own}", address.origin))
            }
            ServerError::Refused { address, database, source } => Some(match source.code.as_str() {
                "42501" => format!(
                    "let the user in: GRANT CONNECT ON DATABASE {} TO {}, run by its owner or a superuser; or {own}",
                    quote_ident(database),
                    quote_ident(&address.user)
                ),
                "28P01" | "28000" => format!("correct the user or the password in {}", address.origin),
                "53300" => "run fewer tests at once, or raise max_connections on that server".to_owned(),
                _ => format!("correct {}; or {own}", address.origin),
            }),
            ServerError::Admin { address, statement, source: QueryError::Db(source) } => Some(match &*source.code {
                "42501" if statement.starts_with("CREATE DATABASE") => format!(
                    "let the user make databases: ALTER ROLE {} CREATEDB, run by a superuser of that server. Without \
                     that right, name one empty database in PTEST_SINGLE_DATABASE: tests then wait for one another, \
                     each change of the migrations builds it anew, and isolation = \"database\" needs another server; \
                     or {own}",
                    quote_ident(&address.user)
                ),
                "42501" => format!(
                    "let a superuser of that server give {} the right that its words name; or {own}",
                    quote_ident(&address.user)
                ),
                "53100" => DISK_FULL.to_owned(),
                _ => return None,
            }),
            ServerError::Admin { .. } => None,
            ServerError::TooOld { .. } => Some(format!("use a newer server; or {own}")),
        }
    }

    fn class(&self) -> Class {
        match self {
            ServerError::Connect { .. } => Class::NoServer,
            ServerError::Refused { source, .. } if source.code == "53300" => Class::Crowded,
            ServerError::Refused { address, source, .. } if address.is_own() && source.is_end_of_server() => {
                Class::NoServer
            }
            ServerError::Admin { address, source, .. } if address.is_own() && source.is_end_of_server() => {
                Class::NoServer
            }
            _ => Class::Other,
        }
    }
}

impl ServerError {
    /// Whether the server lets nobody in yet, or not any more but is the user's, who may start it again.
    pub(crate) fn is_worth_waiting(&self) -> bool {
        self.code() == Some("57P03") && self.class() != Class::NoServer
    }

    /// The SQLSTATE with which the server refused the connection.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            ServerError::Refused { source, .. } => Some(&source.code),
            _ => None,
        }
    }

    /// The SQLSTATE of an administrative statement that failed.
    pub(crate) fn state(&self) -> Option<&str> {
        match self {
            ServerError::Admin { source: QueryError::Db(error), .. } => Some(&error.code),
            _ => None,
        }
    }
}

/// A name as SQL wants it, whatever is in it.
pub(crate) fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string constant as SQL wants it, whatever is in it and whatever `standard_conforming_strings` says.
pub(crate) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

//! The URL of a database, as every client reads it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Address, Endpoint};

/// What may stand unescaped in a URL's host.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The URL of a database of this server, without the password.
pub(crate) fn url_of(server: &Address, database: &str) -> String {
    url(&Address { database: database.to_owned(), password: None, ..server.clone() })
}

/// The URL of a socket: its folder as the escaped host, which libpq, sqlx and tokio-postgres all read.
pub(crate) fn url(address: &Address) -> String {
    let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let (host, port) = match &address.endpoint {
        Endpoint::Unix { folder, port } => (escape(&folder.to_string_lossy()), port),
        Endpoint::Tcp { host, port } if host.contains(':') => (format!("[{host}]"), port),
        Endpoint::Tcp { host, port } => (host.clone(), port),
    };
    let password = address.password.as_ref().map_or(String::new(), |password| format!(":{}", escape(password)));
    format!("postgresql://{}{password}@{host}:{port}/{}", escape(&address.user), escape(&address.database))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_same(text: &str, expected: &str) {
        let address = Address::from_url(text, "test").unwrap();
        let made = url(&address);
        assert_eq!(made, expected);
        assert!(Address::from_url(&made, "test").unwrap() == address, "{text} is read back");
    }

    #[test]
    fn a_url_names_the_server_as_it_was_named() {
        assert_same(
            "postgres://bob:p%40ss%2F%3Aw%23rd@db.example:5433/app",
            "postgresql://bob:p%40ss%2F%3Aw%23rd@db.example:5433/app",
        );
        assert_same("postgres://bob@[::1]/app", "postgresql://bob@[::1]:5432/app");
        assert_same("postgres://eve:x@%2Fvar%2Frun/a%20b", "postgresql://eve:x@%2Fvar%2Frun:5432/a%20b");
    }
}

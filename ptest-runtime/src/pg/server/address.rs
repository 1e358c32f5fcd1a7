//! The address of a server, as a URL names it or as ptest's own server has it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::ServerError;

/// Where a server listens and who ptest is to it. `Display` leaves the password out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    /// The database that the URL names: ptest never touches it, but may send administrative statements through it
    /// where there is no database `postgres`.
    pub(crate) database: String,
    /// Where the address came from, for error messages.
    pub(crate) origin: String,
    /// The home of the server that ptest starts, which only processes of this target folder use; `None`: it is the user's.
    pub(crate) home: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// The folder of the socket `.s.PGSQL.<port>`.
    Unix {
        folder: PathBuf,
        port: u16,
    },
    Tcp {
        host: String,
        port: u16,
    },
}

impl Address {
    /// Whether it is the server that ptest starts.
    pub(crate) fn is_own(&self) -> bool {
        self.home.is_some()
    }

    /// The server that a URL names, in the forms that libpq accepts (PostgreSQL manual, section 34.1.1.2).
    pub(crate) fn from_url(text: &str, origin: &str) -> Result<Address, ServerError> {
        let invalid = |reason: String| ServerError::Url { origin: origin.to_owned(), reason };
        let url = Url::parse(text).map_err(|e| invalid(e.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(invalid(format!("its scheme is `{}`, not `postgres`", url.scheme())));
        }
        let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
        let mut host = url.host_str().map(decode).filter(|h| !h.is_empty());
        let mut port = url.port();
        let mut user = Some(url.username()).filter(|u| !u.is_empty()).map(decode);
        let mut password = url.password().map(decode);
        let mut database = Some(decode(url.path().trim_start_matches('/'))).filter(|d| !d.is_empty());
        for (key, value) in url.query_pairs() {
            match &*key {
                "host" | "hostaddr" => host = Some(value.into_owned()),
                "port" => port = Some(value.parse().map_err(|_| invalid(format!("`{value}` is not a port")))?),
                "user" => user = Some(value.into_owned()),
                "password" => password = Some(value.into_owned()),
                "dbname" => database = Some(value.into_owned()),
                "sslmode" if matches!(&*value, "require" | "verify-ca" | "verify-full") => {
                    return Err(ServerError::Tls { origin: origin.to_owned() });
                }
                _ => {}
            }
        }
        let port = port.unwrap_or(5432);
        let user = user.unwrap_or_else(|| "postgres".to_owned());
        let endpoint = match host {
            Some(host) if host.starts_with('/') => Endpoint::Unix { folder: host.into(), port },
            Some(host) => Endpoint::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port },
            None => Endpoint::Tcp { host: "localhost".to_owned(), port },
        };
        Ok(Address {
            endpoint,
            database: database.unwrap_or_else(|| user.clone()),
            user,
            password,
            origin: origin.to_owned(),
            home: None,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.endpoint)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix { folder, port } => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> String {
        Address::from_url(url, "test").map(|a| a.to_string()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn urls_in_the_forms_of_libpq() {
        assert_eq!(endpoint("postgres://bob:pw@db.example:5433/app"), "bob@db.example:5433");
        assert_eq!(endpoint("postgresql://localhost/app"), "postgres@localhost:5432");
        assert_eq!(endpoint("postgres://bob@%2Fvar%2Frun:5433/app"), "bob@/var/run/.s.PGSQL.5433");
        assert_eq!(endpoint("postgres:///app?host=/tmp&user=eve&port=7"), "eve@/tmp/.s.PGSQL.7");
        assert_eq!(endpoint("postgres://[::1]:5433/app"), "postgres@::1:5433");
    }

    #[test]
    fn neither_form_shows_a_password() {
        let address = Address::from_url("postgres://bob:hunter2@h/app?password=hunter3", "test").unwrap();
        assert_eq!(address.password.as_deref(), Some("hunter3"));
        assert!(!format!("{address} {address:?}").contains("hunter"));
    }

    #[test]
    fn a_url_that_cannot_work_says_why() {
        assert!(endpoint("mysql://h/x").contains("`mysql`"));
        assert!(endpoint("postgres://h/x?sslmode=require").contains("TLS"));
        assert!(endpoint("postgres://h/x?port=abc").contains("`abc`"));
    }
}

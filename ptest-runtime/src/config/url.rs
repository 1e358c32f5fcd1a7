//! The URL of a server, and how it is shown: never with its password.

use std::fmt;

use ::url::Url;

/// Shows a URL without its password, wherever in the URL that stands.
///
/// A URL that is not clearly understood is shown as its scheme alone: an unescaped `/`, `?`, `#` or `@` in a password
/// moves the rest of it into another part.
#[derive(Debug)]
pub(crate) struct RedactedUrl<'u>(pub(crate) &'u str);

#[derive(Debug, thiserror::Error)]
pub(crate) enum UrlError {
    #[error(transparent)]
    Parse(#[from] ::url::ParseError),
    #[error("there is no `//` after the scheme")]
    NoAuthority,
    #[error("there is a `#`, which a password has to write as `%23`")]
    Fragment,
}

/// Whether the scheme says that the rest is for PostgreSQL, valid or not.
pub(super) fn is_postgres(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.trim_start());
    scheme.is_some_and(|scheme| ["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// Whether a URL with a scheme of PostgreSQL is well-formed.
pub(super) fn check(url: &str) -> Result<(), UrlError> {
    let url = Url::parse(url)?;
    if url.cannot_be_a_base() || !url.as_str()[url.scheme().len()..].starts_with("://") {
        return Err(UrlError::NoAuthority);
    }
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    Ok(())
}

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match redacted(self.0) {
            Some(url) => f.write_str(&url),
            None => match self.0.split_once("://") {
                Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => write!(f, "{scheme}://***"),
                _ => f.write_str("***"),
            },
        }
    }
}

fn redacted(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let misread = url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'));
    if url.cannot_be_a_base() || url.fragment().is_some() || misread {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some("***")).ok()?;
    }
    if let Some(query) = url.query() {
        let query: Vec<_> = query.split('&').map(redacted_pair).collect();
        url.set_query(Some(&query.join("&")));
    }
    Some(url.into())
}

fn redacted_pair(pair: &str) -> String {
    let key = pair.split('=').next().unwrap_or(pair);
    let name = percent_encoding::percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
    // `sslpassword` too.
    if name.contains("password") { format!("{key}=***") } else { pair.to_owned() }
}

//! Redaction: what a report shows of a text that may hold a password.
//!
//! A password is what follows the word `password` (or `passwd`, or a word that ends so) as a string constant, or as
//! `password=…` in a connection string or JSON; and the user's part of a URL. Where the text was cut inside of one,
//! everything up to the cut goes.

const HIDDEN: &str = "***";

/// The text without its passwords.
pub(super) fn redacted(text: &str) -> String {
    without_credentials(&without_passwords(text))
}

fn without_passwords(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for word in
        ["password", "passwd"].iter().flat_map(|word| lower.match_indices(word)).map(|(at, word)| at + word.len())
    {
        let Some(secret) = secret(text, word).filter(|secret| secret.start >= copied) else { continue };
        out.push_str(&text[copied..secret.start]);
        out.push_str(HIDDEN);
        copied = secret.end;
    }
    out.push_str(&text[copied..]);
    out
}

/// Where the secret stands that follows the word that ends at `word`.
fn secret(text: &str, word: usize) -> Option<std::ops::Range<usize>> {
    // `"password": "…"`.
    let quoted_word = text[word..].starts_with('"');
    let rest = text[word + usize::from(quoted_word)..].trim_start();
    let assigned = rest.strip_prefix(['=', ':']).filter(|rest| !rest.starts_with([':', '=']));
    let rest = assigned.unwrap_or(rest).trim_start();
    let start = text.len() - rest.len();
    let after_e = rest.strip_prefix(['E', 'e', 'U', 'u']).filter(|rest| rest.starts_with(['\'', '&']));
    let value = after_e.unwrap_or(rest).trim_start_matches('&');
    let at = text.len() - value.len();
    let quote = value.chars().next()?;
    match quote {
        '\'' => Some(at + 1..at + 1 + quoted_end(&value[1..], '\'')),
        '"' if assigned.is_some() => Some(at + 1..at + 1 + quoted_end(&value[1..], '"')),
        // A parameter is no secret, its value may be.
        '$' if value[1..].starts_with(|c: char| c.is_ascii_digit()) => None,
        '$' => {
            let tag = &value[..value[1..].find('$')? + 2];
            let body = &value[tag.len()..];
            Some(at + tag.len()..at + tag.len() + body.find(tag).unwrap_or(body.len()))
        }
        _ if assigned.is_some() => {
            let end = rest.find(|c: char| c.is_whitespace() || "'\"&,;)}".contains(c)).unwrap_or(rest.len());
            (end > 0).then_some(start..start + end)
        }
        _ => None,
    }
}

/// Where a quoted text ends; a doubled quote does not end it.
fn quoted_end(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at;
        }
    }
    text.len()
}

fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c)).unwrap_or(after.len());
        let cut = end == after.len() && text.ends_with('…');
        let host = match after[..end].rfind('@') {
            Some(at) => Some(at),
            None if cut => Some(end),
            None => None,
        };
        if let Some(host) = host {
            out.push_str(HIDDEN);
            rest = &after[host..];
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn passwords_of_every_form() {
        for (text, shown) in [
            ("CREATE ROLE a PASSWORD 'hunter2' LOGIN", "CREATE ROLE a PASSWORD '***' LOGIN"),
            ("alter user a with encrypted password E'hun''ter2'", "alter user a with encrypted password E'***'"),
            ("alter role a password $x$hunter2$x$", "alter role a password $x$***$x$"),
            ("alter role a password 'hunt", "alter role a password '***"),
            ("alter role a password null", "alter role a password null"),
            (
                "create user mapping for a server s options (user 'a', password 'x')",
                "create user mapping for a server s options (user 'a', password '***')",
            ),
            ("select dblink('host=h password=hunter2 user=a')", "select dblink('host=h password=*** user=a')"),
            (r#"{"password": "hunter2", "name": "ada"}"#, r#"{"password": "***", "name": "ada"}"#),
            (
                "select 1 from u where password = 'x' and passwd='y'",
                "select 1 from u where password = '***' and passwd='***'",
            ),
            ("select 1 from u where password = $1", "select 1 from u where password = $1"),
            ("insert into u (name, password) values ($1, $2)", "insert into u (name, password) values ($1, $2)"),
            ("create table u (password text not null)", "create table u (password text not null)"),
            ("postgres://bob:hunter2@h/db and http://h/x", "postgres://***@h/db and http://h/x"),
            ("postgres://bob:p@ss@h/db", "postgres://***@h/db"),
            ("postgres://bob:hun…", "postgres://***"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
        }
    }
}

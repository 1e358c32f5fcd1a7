//! The HTML of the site. What a user typed appears only escaped.

use axum::response::Html;

use crate::users::User;

/// The login form, with the name that was typed before.
pub(crate) fn login(username: &str, refused: bool) -> Html<String> {
    let error = match refused {
        true => {
            "<p class=\"errornote\">Please enter the correct username and password for a staff account. \
             Note that both fields are case-sensitive.</p>\n"
        }
        false => "",
    };
    layout(
        "Log in",
        &format!(
            "{error}<form action=\"/admin/\" method=\"post\" id=\"login-form\">\n\
             <label>Username: <input name=\"username\" value=\"{}\" maxlength=\"30\" required autofocus></label>\n\
             <label>Password: <input name=\"password\" type=\"password\" required></label>\n\
             <input type=\"submit\" value=\"Log in\">\n\
             </form>",
            escape(username),
        ),
    )
}

/// The page that staff sees first.
pub(crate) fn index(user: &User, users: i64) -> Html<String> {
    layout(
        "Site administration",
        &format!(
            "<p>Welcome, <strong>{}</strong>.</p>\n\
             <table><caption>Auth</caption><tr><th>Users</th><td>{users}</td></tr></table>\n\
             <form action=\"/admin/logout/\" method=\"post\"><input type=\"submit\" value=\"Log out\"></form>",
            escape(&user.username),
        ),
    )
}

fn layout(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title} | djtest</title></head>\n\
         <body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    ))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_typed_cannot_become_markup() {
        let Html(page) = login("\"><script>alert('a & b')</script>", true);
        assert!(
            page.contains("value=\"&quot;&gt;&lt;script&gt;alert(&#x27;a &amp; b&#x27;)&lt;/script&gt;\""),
            "{page}"
        );
    }
}

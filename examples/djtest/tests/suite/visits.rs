//! What the tests do on their site. Each starts with no user at all and creates `admin`, as every other test does.

use anyhow::ensure;
use axum::http::StatusCode;
use djtest::users;

use crate::site::Site;

/// A stranger sees the login form, whoever may have an account.
pub(crate) async fn anonymous(mut site: Site) -> anyhow::Result<()> {
    create_superuser(&site, 1).await?;

    let page = site.browser.get("/admin/").await?;

    ensure!(page.status == StatusCode::OK, "{}", page.status);
    ensure!(page.html.contains("id=\"login-form\""), "{}", page.html);
    Ok(())
}

/// Superusers are created one by one; each logs in and sees the site.
pub(crate) async fn superusers(mut site: Site, total: usize) -> anyhow::Result<()> {
    for nth in 1..=total {
        let name = create_superuser(&site, nth).await?;

        let answer = site.browser.log_in(&name, "secret").await?;
        ensure!(answer.status == StatusCode::FOUND, "{}: {}", answer.status, answer.html);
        ensure!(answer.location.as_deref() == Some("/admin/"), "{:?}", answer.location);

        let page = site.browser.get("/admin/").await?;
        ensure!(page.html.contains("Site administration"), "{}", page.html);
        ensure!(page.html.contains(&format!("<strong>{name}</strong>")), "{}", page.html);
    }
    ensure!(users::count(&site.db).await? == total as i64);
    Ok(())
}

/// Creates the `nth` superuser of a database that holds none but those before, and returns its name.
async fn create_superuser(site: &Site, nth: usize) -> anyhow::Result<String> {
    let before = users::count(&site.db).await?;
    ensure!(before == nth as i64 - 1, "{before} users are left over from other tests");
    let name = match nth {
        1 => "admin".to_owned(),
        _ => format!("admin{nth}"),
    };
    users::create_superuser(&site.db, &name, "admin@example.com", "secret").await?;
    Ok(name)
}

//! The site that a test visits, in the ways a test can come by one.

use djtest::db::Db;
use djtest::router;
use ptest::{Context, FromContext};
use tokio::net::TcpListener;

use crate::browser::{Address, Browser};

/// A site, its database, and a browser that has it open.
pub(crate) struct Site {
    pub(crate) db: Db,
    pub(crate) browser: Browser,
}

impl Site {
    /// On a pool that the test was given.
    pub(crate) fn on(pool: impl Into<Db>) -> Site {
        let db = pool.into();
        let browser = Browser::new(Address::Router(router::app(db.clone())));
        Site { db, browser }
    }

    /// As `main.rs` starts it: from nothing but the database's URL, behind a port of its own.
    pub(crate) async fn served_from(url: &str) -> anyhow::Result<Site> {
        let db = Db::connect(url).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let browser = Browser::new(Address::Http(listener.local_addr()?));
        tokio::spawn(axum::serve(listener, router::app(db.clone())).into_future());
        Ok(Site { db, browser })
    }
}

/// The site as a parameter of a test, on a database of the kind of `P`.
pub(crate) struct TestApp<P> {
    pool: P,
}

impl<P: FromContext> FromContext for TestApp<P> {
    async fn from_context(cx: &mut Context) -> ptest::Result<Self> {
        Ok(TestApp { pool: P::from_context(cx).await? })
    }
}

impl<P: Into<Db>> TestApp<P> {
    pub(crate) fn site(self) -> Site {
        Site::on(self.pool)
    }
}

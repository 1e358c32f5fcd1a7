//! What a person does to the site: fetch pages, send forms, keep cookies.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt;

/// A browser with one site open.
#[derive(Clone)]
pub(crate) struct Browser {
    site: Address,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// How the site is reached.
#[derive(Clone)]
pub(crate) enum Address {
    /// In this process, by calling its router.
    Router(Router),
    /// By HTTP.
    Http(SocketAddr),
}

/// What the site answered.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) html: String,
}

impl Browser {
    pub(crate) fn new(site: Address) -> Browser {
        Browser { site, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Page> {
        self.fetch(Request::get(path), Body::empty()).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Page> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.fetch(request, Body::from(serde_urlencoded::to_string(form)?)).await
    }

    /// Sends the login form.
    pub(crate) async fn log_in(&mut self, username: &str, password: &str) -> anyhow::Result<Page> {
        self.post("/admin/", &[("username", username), ("password", password)]).await
    }

    async fn fetch(&mut self, mut request: axum::http::request::Builder, body: Body) -> anyhow::Result<Page> {
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let response = self.site.answer(request.body(body)?).await?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            self.keep(cookie.to_str()?)?;
        }
        let status = response.status();
        let location = response.headers().get(LOCATION).map(|value| value.to_str().map(str::to_owned)).transpose()?;
        let html = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
        Ok(Page { status, location, html })
    }

    fn keep(&mut self, cookie: &str) -> anyhow::Result<()> {
        let mut parts = cookie.split("; ");
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).context("a cookie without a name")?;
        if parts.any(|attribute| attribute == "Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }
}

impl Address {
    async fn answer(&self, mut request: Request<Body>) -> anyhow::Result<Response<Body>> {
        match self {
            Address::Router(router) => Ok(router.clone().oneshot(request).await?),
            Address::Http(address) => {
                request.headers_mut().insert(HOST, address.to_string().parse()?);
                let stream = TokioIo::new(TcpStream::connect(address).await?);
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
                tokio::spawn(connection);
                Ok(sender.send_request(request).await?.map(Body::new))
            }
        }
    }
}

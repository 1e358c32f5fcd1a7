//! Serves the site, or makes a superuser who can log in to it.

use std::io::stdin;

use anyhow::Context;
use djtest::db::Db;
use djtest::{router, users};
use tokio::net::TcpListener;

const USAGE: &str = "usage: djtest [HOST:PORT] | djtest createsuperuser NAME EMAIL < PASSWORD";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set: postgres://host/name or sqlite:file")?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve(&url, "127.0.0.1:8000").await,
        ["createsuperuser", name, email] => create_superuser(&url, name, email).await,
        [address] if address.contains(':') => serve(&url, address).await,
        _ => anyhow::bail!(USAGE),
    }
}

async fn serve(url: &str, address: &str) -> anyhow::Result<()> {
    let db = Db::connect(url).await?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("http://{}/admin/", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, router::app(db)).with_graceful_shutdown(stop).await?;
    Ok(())
}

async fn create_superuser(url: &str, name: &str, email: &str) -> anyhow::Result<()> {
    let mut password = String::new();
    stdin().read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!password.is_empty(), "the password on standard input is empty");

    let db = Db::connect(url).await?;
    users::create_superuser(&db, name, email, password).await?;
    println!("{name} can log in");
    Ok(())
}

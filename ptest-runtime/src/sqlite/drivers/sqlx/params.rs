//! The parameters of sqlx with SQLite.

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions};

use super::SqliteTest;
use crate::sqlite::SqliteUrl;
use crate::test::context::Context;
use crate::test::param::FromContext;

#[diagnostic::do_not_recommend]
impl FromContext for SqliteConnection {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(cx.get::<SqliteTest>().await?.connection().await?)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for PoolConnection<Sqlite> {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(cx.get::<SqliteTest>().await?.pool_connection().await?)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for SqlitePool {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(cx.get::<SqliteTest>().await?.pool().await?)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for SqlitePoolOptions {
    async fn from_context(_: &mut Context) -> crate::Result<Self> {
        Ok(SqliteTest::pool_options())
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for SqliteConnectOptions {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(cx.get::<SqliteTest>().await?.connect_options("`SqliteConnectOptions`").await?)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for SqliteUrl {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(cx.get::<SqliteTest>().await?.url().await?)
    }
}

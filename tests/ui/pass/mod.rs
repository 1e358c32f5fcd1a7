//! Tests that compile, and pass. None asks for a database.

mod parameters;

use ptest::{Context, FromContext, Result};

/// Stands for what a driver gives.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    used: u32,
}

impl FromContext for Pool {
    async fn from_context(_: &mut Context) -> Result<Self> {
        Ok(Pool::default())
    }
}

/// A parameter with a type parameter of its own.
#[derive(Debug)]
pub(crate) struct Checked<T>(T);

impl<T: FromContext> FromContext for Checked<T> {
    async fn from_context(cx: &mut Context) -> Result<Self> {
        T::from_context(cx).await.map(Checked)
    }
}

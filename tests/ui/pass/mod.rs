//! Tests that compile, and pass. None asks for a database.

mod arguments;
mod from_sqlx;
mod functions;
mod parameters;

use ptest::{Context, FromContext, Result};

/// Where a crate of the user's own passes ptest on.
mod reexport {
    pub(crate) use ptest::{__private, Error};
}

/// Stands for what a driver gives.
#[derive(Debug, Default)]
struct Pool {
    used: u32,
}

impl FromContext for Pool {
    async fn from_context(_: &mut Context) -> Result<Self> {
        Ok(Pool::default())
    }
}

/// Stands for a parameter that has a type parameter of its own.
#[derive(Debug)]
struct Checked<T>(T);

impl<T: FromContext> FromContext for Checked<T> {
    async fn from_context(cx: &mut Context) -> Result<Self> {
        T::from_context(cx).await.map(Checked)
    }
}

//! The driver types that a test can ask for: the only folder that names them.

pub(crate) mod fixture;
#[cfg(feature = "sqlx-postgres")]
pub(crate) mod sqlx_postgres;

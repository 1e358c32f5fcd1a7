//! The PostgreSQL types that a test can ask for: the only folder that names them.

#[cfg(feature = "deadpool-postgres")]
mod deadpool_postgres;
pub(crate) mod fixture;
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub(crate) mod sqlx_migrator;
#[cfg(feature = "sqlx-postgres")]
pub(crate) mod sqlx_postgres;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

//! The PostgreSQL types that a test can ask for: the only folder that names them.

#[cfg(feature = "bb8-postgres")]
mod bb8_postgres;
#[cfg(feature = "deadpool-postgres")]
mod deadpool_postgres;
#[cfg(feature = "diesel")]
mod diesel;
#[cfg(feature = "diesel-async")]
mod diesel_async;
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite", feature = "sqlx-08-postgres"))]
mod migrator;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "sea-orm", feature = "sqlx-postgres"))]
mod sea_orm;
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-08-postgres"))]
mod sqlx;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

/// sqlx 0.9.
#[cfg(feature = "sqlx-postgres")]
pub(crate) mod sqlx_postgres {
    super::sqlx::params!(sqlx);
}

/// sqlx 0.8.
#[cfg(feature = "sqlx-08-postgres")]
mod sqlx_08_postgres {
    super::sqlx::params!(sqlx08);
}

#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
migrator::migrator!(sqlx, "sqlx-postgres": "postgres" => PgConnection, "sqlx-sqlite": "sqlite" => SqliteConnection);
#[cfg(feature = "sqlx-08-postgres")]
migrator::migrator!(sqlx08, "sqlx-08-postgres": "postgres" => PgConnection);

/// Sets the same of a `tokio_postgres::Config` and a `postgres::Config`, which have the same methods.
#[cfg(any(feature = "tokio-postgres", feature = "postgres"))]
macro_rules! configure {
    ($config:ident, $address:expr) => {
        let address: &Address = $address;
        $config.user(&address.user).dbname(&address.database);
        if let Some(password) = &address.password {
            $config.password(password);
        }
        match &address.endpoint {
            Endpoint::Unix { folder, port } => $config.host_path(folder).port(*port),
            Endpoint::Tcp { host, port } => $config.host(host).port(*port),
        };
    };
}
#[cfg(any(feature = "tokio-postgres", feature = "postgres"))]
use configure;

//! The database: PostgreSQL or SQLite, as its URL says.
//!
//! Every statement of the site is written once, in the SQL that both speak; only the migrations differ.

use std::str::FromStr;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{PgPool, SqlitePool};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// A pool of connections to the site's database.
#[derive(Debug, Clone)]
pub enum Db {
    /// PostgreSQL.
    Postgres(PgPool),
    /// SQLite.
    Sqlite(SqlitePool),
}

/// What kept the site from its database.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names neither PostgreSQL nor SQLite.
    #[error("a database URL starts with `postgres:`, `postgresql:` or `sqlite:`")]
    Scheme,
    /// The database cannot be reached.
    #[error("cannot connect to the database")]
    Connect(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[from] MigrateError),
}

impl Db {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// Where the URL is none of ours, nobody answers there, or a migration fails.
    pub async fn connect(url: &str) -> Result<Db, ConnectError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => {
                let pool = PgPool::connect(url).await?;
                POSTGRES.run(&pool).await?;
                Ok(Db::Postgres(pool))
            }
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url)?.create_if_missing(true);
                let pool = SqlitePool::connect_with(options).await?;
                SQLITE.run(&pool).await?;
                Ok(Db::Sqlite(pool))
            }
            _ => Err(ConnectError::Scheme),
        }
    }
}

impl From<PgPool> for Db {
    fn from(pool: PgPool) -> Db {
        Db::Postgres(pool)
    }
}

impl From<SqlitePool> for Db {
    fn from(pool: SqlitePool) -> Db {
        Db::Sqlite(pool)
    }
}

/// Runs an expression with the pool of a `Db`, whichever it is.
macro_rules! with_pool {
    ($db:expr, |$pool:ident| $body:expr) => {
        match $db {
            $crate::db::Db::Postgres($pool) => $body,
            $crate::db::Db::Sqlite($pool) => $body,
        }
    };
}
pub(crate) use with_pool;

//! The maintenance connection: creates, clones, renames and drops databases.

use super::{Address, Connection, QueryError, Rows, ServerError, quote_ident};

/// The oldest server that ptest uses (`server_version_num`).
const OLDEST: u32 = 130_000;

/// A connection to a database that is none of ptest's: `postgres`, else the one that the URL names.
#[derive(Debug)]
pub(crate) struct Admin {
    connection: Connection,
    address: Address,
}

impl Admin {
    pub(crate) async fn open(address: &Address) -> Result<Admin, ServerError> {
        let connection = match Connection::open(address, "postgres", &[]).await {
            Err(e)
                if matches!(e.code(), Some("3D000" | "42501" | "28000" | "55000"))
                    && address.database != "postgres" =>
            {
                Connection::open(address, &address.database, &[]).await?
            }
            other => other?,
        };
        let mut admin = Admin { connection, address: address.clone() };
        admin.check_version().await?;
        Ok(admin)
    }

    async fn check_version(&mut self) -> Result<(), ServerError> {
        let rows = self.run("SELECT current_setting('server_version_num'), current_setting('server_version')").await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        if text(0).parse().is_ok_and(|number: u32| number >= OLDEST) {
            return Ok(());
        }
        Err(ServerError::TooOld { address: Box::new(self.address.clone()), version: text(1) })
    }

    /// Runs a statement; an error of the server says which.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<Rows, ServerError> {
        self.try_run(sql).await.map_err(|source| ServerError::Admin {
            address: Box::new(self.address.clone()),
            statement: sql.lines().next().unwrap_or_default().chars().take(120).collect(),
            source,
        })
    }

    /// Runs a statement whose failure the caller knows what to do about.
    pub(crate) async fn try_run(&mut self, sql: &str) -> Result<Rows, QueryError> {
        self.connection.query(sql).await
    }

    /// Drops a database that the caller has proven to be ptest's.
    pub(crate) async fn drop_database(&mut self, name: &str) -> Result<(), ServerError> {
        self.run(&format!("DROP DATABASE IF EXISTS {}", quote_ident(name))).await.map(drop)
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

//! The maintenance connection: creates, clones, renames and drops databases.

use std::io;

use super::{Address, Connection, QueryError, Rows, ServerError};

/// The oldest server that ptest uses (`server_version_num`).
const OLDEST: u32 = 130_000;

/// Where others may make functions and operators, none of theirs is ever meant. What ptest makes belongs to the user that
/// connects: by that it is known.
const SETTINGS: &[(&str, &str)] = &[("search_path", "pg_catalog"), ("role", "none")];

/// A connection to a database that is none of ptest's: `postgres`, else the one that the URL names.
#[derive(Debug)]
pub(crate) struct Admin {
    connection: Connection,
    address: Address,
    /// `server_version_num`.
    version: u32,
    /// Whether the server syncs its files.
    durable: bool,
}

impl Admin {
    pub(crate) async fn open(address: &Address) -> Result<Admin, ServerError> {
        let connection = match Connection::open(address, "postgres", SETTINGS).await {
            Err(e)
                if matches!(e.code(), Some("3D000" | "42501" | "28000" | "55000"))
                    && address.database != "postgres" =>
            {
                Connection::open(address, &address.database, SETTINGS).await?
            }
            other => other?,
        };
        Admin::new(address, connection).await
    }

    /// A connection to the very database that the address names, which is the user's, names and all.
    pub(crate) async fn inside(address: &Address) -> Result<Admin, ServerError> {
        Admin::new(address, Connection::open(address, &address.database, &[]).await?).await
    }

    async fn new(address: &Address, connection: Connection) -> Result<Admin, ServerError> {
        let mut admin = Admin { connection, address: address.clone(), version: 0, durable: true };
        admin.check_version().await?;
        Ok(admin)
    }

    async fn check_version(&mut self) -> Result<(), ServerError> {
        let sql =
            "SELECT current_setting('server_version_num'), current_setting('server_version'), current_setting('fsync')";
        let rows = self.run(sql).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        self.version = text(0).parse().unwrap_or_default();
        self.durable = text(2) != "off";
        if self.version >= OLDEST {
            return Ok(());
        }
        Err(ServerError::TooOld { address: Box::new(self.address.clone()), version: text(1) })
    }

    /// How `CREATE DATABASE` copies a template the fastest.
    ///
    /// Medians for ten tables, on a tmpfs: by files 19 ms, through the buffers (the default) 40 ms. But by files, a server
    /// that syncs does it file by file, and flushes everything before and after: 980 ms against 420 ms on a disk, and
    /// 590 ms against 77 ms to drop it.
    pub(crate) fn copy_strategy(&self) -> &'static str {
        if self.version >= 150_000 && !self.durable { " STRATEGY FILE_COPY" } else { "" }
    }

    /// Lets this connection's statements run to their end when its client is gone, and has files cloned where the server
    /// knows how.
    pub(crate) async fn outlive_client(&mut self) -> Result<(), ServerError> {
        if self.version >= 140_000 {
            self.run("SET client_connection_check_interval = 0").await?;
        }
        if self.version >= 180_000 {
            // Refused by builds for systems that cannot.
            let _ = self.try_run("SET file_copy_method = clone").await;
        }
        Ok(())
    }

    /// Sends statements that each commit by themselves where they must. They run to their end, or to the first that fails,
    /// also when this process ends: nothing is answered between them. A later [`finish`](Self::finish) reads the answer.
    pub(crate) async fn send_batch(&mut self, statements: &[String]) -> io::Result<()> {
        self.connection.send_batch(statements).await
    }

    /// Reads the answer of a batch.
    pub(crate) async fn finish(&mut self) -> Result<(), QueryError> {
        self.connection.finish().await.map(drop)
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

    /// The server's time, in microseconds since 1970.
    pub(crate) async fn now(&mut self) -> Result<u64, ServerError> {
        let rows = self.run("SELECT floor(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint").await?;
        Ok(rows.into_iter().flatten().flatten().next().and_then(|micros| micros.parse().ok()).unwrap_or_default())
    }

    /// `server_version_num`.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

//! The restorer: ptest's own session in a slot, which holds the lease and puts back what tests have written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::copies::Copies;
use super::image::{ASK, CLEAN, GLANCE, IN_USE, Image};
use super::plan::PutBack;
use crate::pg::server::{APPLICATION, BackendKey, Connection, QueryError, quote_ident, quote_literal};
use crate::pg::template::facts::Facts;

/// What the session has: settings of the database or its user do not count, triggers and rules do not run, and nothing of its own
/// has to be on a disk before something of the test's is: the log keeps the order.
pub(super) const SETTINGS: [(&str, &str); 11] = [
    ("session_replication_role", "replica"),
    ("stats_fetch_consistency", "none"),
    ("search_path", "pg_catalog"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("synchronous_commit", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "0"),
    ("role", "none"),
    ("application_name", APPLICATION),
];

/// How long backends may take to end, whose connections are closed.
const ENDING: Duration = Duration::from_secs(1);

/// How long others may take to leave a database between two tests.
const LEAVING: Duration = Duration::from_millis(200);

/// So many rows make a table worth a vacuum.
const DEAD: u64 = 1_000;

/// The restorer of a slot that is leased.
#[derive(Debug)]
pub(super) struct Restorer {
    pub(super) connection: Connection,
    pub(super) database: String,
    pub(super) facts: Facts,
    /// The database as it is when it is clean.
    pub(super) clean: Image,
    /// How many rows were written to each table since it was vacuumed last.
    dead: BTreeMap<u32, (String, u64)>,
}

impl Restorer {
    pub(super) fn new(connection: Connection, database: String, facts: Facts, clean: Image) -> Restorer {
        Restorer { connection, database, facts, clean, dead: BTreeMap::new() }
    }

    /// Marks the database as in use; `false`: it is not as it was left.
    pub(super) async fn begin(&mut self, sessions: usize) -> Result<bool, QueryError> {
        let mut sql = format!("{};{GLANCE}", self.comment_sql(IN_USE));
        let started = Instant::now();
        loop {
            let image = Image::read(self.connection.query(&sql).await?);
            let Some(image) = image.filter(|image| self.clean.stands(image)) else { return Ok(false) };
            if image.backends == 1 + sessions || started.elapsed() > LEAVING {
                return Ok(image.backends == 1 + sessions);
            }
            // An autovacuum worker, or somebody who looks.
            GLANCE.clone_into(&mut sql);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends backends, waits until nobody is connected but the restorer and these sessions, and gives the database's image; `None`:
    /// somebody stays.
    pub(super) async fn look(&mut self, ended: &[BackendKey], sessions: usize) -> Result<Option<Image>, QueryError> {
        let pids: Vec<String> = ended.iter().map(|key| format!("({})", key.process)).collect();
        if !pids.is_empty() {
            // By then it may be the number of another database's backend.
            let sql = format!(
                "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM (VALUES {}) AS v (pid), \
                 pg_catalog.pg_stat_get_activity(v.pid) AS a WHERE a.datid = {}",
                pids.join(","),
                self.clean.oid
            );
            self.connection.query(&sql).await?;
        }
        let started = Instant::now();
        loop {
            // Who is connected is told before what was written: a backend reports what it has counted before it goes.
            let image = Image::read(self.connection.query(ASK).await?);
            if image.as_ref().is_none_or(|image| image.backends == 1 + sessions) {
                return Ok(image);
            }
            if started.elapsed() > ENDING {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Puts back what was written, marks the database as clean, and looks at it once more.
    pub(super) async fn put_back(&mut self, back: &PutBack) -> Result<(), QueryError> {
        let mut empty = "BEGIN READ WRITE".to_owned();
        back.emptied.iter().for_each(|(_, table)| empty += &format!(";DELETE FROM ONLY {table}"));
        let mut end = back.sequences.clone().unwrap_or_default();
        end += &format!(";{};SELECT pg_catalog.pg_stat_force_next_flush();COMMIT", self.comment_sql(CLEAN));
        // All are under way at once.
        self.connection.send(&empty).await?;
        for copied in &back.filled {
            self.connection.send_copy(&format!("COPY {} FROM STDIN", copied.table), &copied.rows).await?;
        }
        self.connection.send(&end).await?;
        let mut done = Ok(());
        for _ in 0..back.filled.len() + 2 {
            let finished = self.connection.finish().await.map(drop);
            done = done.and(finished);
        }
        done?;
        self.note_dead(back);
        self.vacuum().await?;
        self.note_clean().await
    }

    /// Marks a database as clean that nothing has written to.
    pub(super) async fn end(&mut self, image: Image) -> Result<(), QueryError> {
        self.connection.query(&self.comment_sql(CLEAN)).await?;
        self.clean = image;
        Ok(())
    }

    /// Takes copies of the tables that are to be put back from now on.
    pub(super) async fn copy(&mut self, copies: &Copies) -> Result<(), QueryError> {
        copies.take(&mut self.connection).await
    }

    fn note_dead(&mut self, back: &PutBack) {
        for (oid, table) in &back.emptied {
            // As many as were written, at most; those of a table that is filled again die with the next test.
            self.dead.entry(*oid).or_insert_with(|| (table.clone(), 0)).1 += back.rows;
        }
    }

    /// Vacuums what dead rows have piled up in.
    async fn vacuum(&mut self) -> Result<(), QueryError> {
        let due: Vec<u32> = self.dead.iter().filter(|(_, (_, rows))| *rows >= DEAD).map(|(oid, _)| *oid).collect();
        for oid in due {
            if let Some((table, _)) = self.dead.remove(&oid) {
                self.connection.query(&format!("VACUUM {table}")).await?;
            }
        }
        Ok(())
    }

    async fn note_clean(&mut self) -> Result<(), QueryError> {
        if let Some(image) = Image::read(self.connection.query(ASK).await?) {
            self.clean = image;
        }
        Ok(())
    }

    fn comment_sql(&self, comment: &str) -> String {
        format!("COMMENT ON DATABASE {} IS {}", quote_ident(&self.database), quote_literal(comment))
    }
}

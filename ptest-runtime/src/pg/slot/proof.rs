//! The proof that nothing of a test outlives it: what the server is asked when ptest's transaction begins and before it
//! is rolled back, each within a message that goes there anyway.
//!
//! Functions, not views: those cost a new backend milliseconds. A backend reports what it has written when it is idle
//! outside of a transaction, at the latest when it ends (`pgstat_report_stat`). ptest's own is never idle so between the
//! two questions, so it is others who have moved the counters. They are trusted from version 15 on, which keeps them in
//! shared memory.

use super::acquire::KEY;
use crate::audit::one_line;
use crate::pg::sandbox;
use crate::pg::server::Rows;
use crate::spec::Level;

type Row = Vec<Option<String>>;

/// How ptest's transaction is to be known again.
#[derive(Debug, Clone, Default)]
pub(super) struct Proof {
    /// The database's number.
    pub(super) oid: String,
    /// When ptest's transaction began, in microseconds: another transaction has another time.
    pub(super) began: String,
    /// Others were connected to the database before it was asked what was written.
    pub(super) accompanied: bool,
    /// How many rows were ever inserted, updated or deleted in the database, by others.
    pub(super) written: Option<String>,
    /// Where the server's log stood.
    pub(super) log: u64,
}

/// What came of the questions before the rollback.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// ptest's transaction still stands.
    pub(super) stands: bool,
    /// It has a number: the test may have changed something.
    pub(super) took_number: bool,
    /// The backend has counted what it did.
    pub(super) counted: bool,
    /// Others are connected to the database.
    pub(super) shared: bool,
    /// Others have written to it.
    pub(super) written: bool,
    /// How much was written to the server's log meanwhile, by all of its tests, in bytes.
    pub(super) logged: u64,
}

impl Proof {
    /// Reads the answer to [`begin_sql`]; `None`: the lease's transaction lock is another's.
    pub(super) fn read(row: Option<&Row>) -> Option<Proof> {
        let text = |column: usize| row?.get(column)?.clone();
        (text(0).as_deref() == Some("t")).then(|| Proof {
            oid: text(1).unwrap_or_default(),
            began: text(2).unwrap_or_default(),
            accompanied: text(3).as_deref() != Some("1"),
            written: text(4),
            log: log_position(text(5)),
        })
    }

    /// Whether somebody was connected who may have something to report yet. A backend that ends gives up its locks, the lease
    /// among them, before it reports what it has written, and is seen until it has.
    pub(super) fn may_be_early(&self) -> bool {
        self.accompanied && self.written.is_some()
    }

    /// Releases the session locks that a body took, retakes the lease's (the transaction lock holds the key meanwhile), and
    /// asks what there is to know.
    ///
    /// Who is connected is asked before what was written: whoever has gone has reported it.
    pub(super) fn sql(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_advisory_lock({KEY}), \
             {BEGAN}, pg_catalog.pg_current_xact_id_if_assigned(), pg_catalog.current_setting('track_counts'), \
             pg_catalog.pg_stat_clear_snapshot(), pg_catalog.pg_stat_get_db_numbackends(oid), {WRITTEN}, \
             pg_catalog.pg_current_wal_insert_lsn() FROM (SELECT {}::oid) AS d(oid)",
            self.oid
        )
    }

    /// Reads the answer to it.
    pub(super) fn answers(&self, row: Option<&Row>) -> Answers {
        let text = |column: usize| row?.get(column)?.clone();
        Answers {
            stands: text(2).as_deref() == Some(&*self.began),
            took_number: text(3).is_some(),
            counted: text(4).as_deref() == Some("on"),
            shared: text(6).as_deref() != Some("1"),
            written: text(7) != self.written,
            logged: log_position(text(8)).saturating_sub(self.log),
        }
    }

    /// Asks who is connected beside ptest's own backend, by application, user and last query, and then what was written. A
    /// process that only tries the lease is nobody.
    pub(super) fn others_sql(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_stat_clear_snapshot();\
             SELECT application_name, pg_catalog.pg_get_userbyid(usesysid), query \
             FROM pg_catalog.pg_stat_get_activity(NULL) WHERE datid = {oid} AND pid <> pg_catalog.pg_backend_pid() \
               AND coalesce(backend_type, 'client backend') = 'client backend' \
               AND query <> '' AND query NOT LIKE '%{KEY}%';\
             SELECT pg_catalog.pg_stat_clear_snapshot(), {WRITTEN} FROM (SELECT {oid}::oid) AS d(oid)",
            oid = self.oid
        )
    }

    /// Reads the answer to it: the clients, and whether others have written.
    pub(super) fn others(&self, mut rows: Rows) -> (Vec<String>, bool) {
        let written = rows.pop().is_some_and(|row| row.get(1).cloned().flatten() != self.written);
        (rows.iter().skip(1).map(client).collect(), written)
    }

    /// A row if the server itself has written statistics since ptest's transaction began.
    pub(super) fn analyzed_sql(&self) -> String {
        format!(
            "SELECT 1 FROM pg_catalog.pg_class \
             WHERE extract(epoch FROM pg_catalog.pg_stat_get_last_autoanalyze_time(oid)) * 1000000 >= {} LIMIT 1",
            self.began
        )
    }
}

/// A row if somebody is connected who may have written something: not a process that tries the lease, which has said nothing else.
pub(super) fn company_sql() -> String {
    format!(
        "SELECT 1 FROM pg_catalog.pg_stat_get_activity(NULL) WHERE pid <> pg_catalog.pg_backend_pid() \
           AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND coalesce(backend_type, 'client backend') = 'client backend' AND query <> '' \
           AND query NOT LIKE 'SELECT pg_catalog.pg_try_advisory_lock({KEY})%' \
           AND query NOT LIKE 'BEGIN READ WRITE;SELECT pg_catalog.pg_try_advisory_xact_lock({KEY})%' LIMIT 1"
    )
}

fn client(row: &Row) -> String {
    let text = |column: usize| row.get(column).cloned().flatten().filter(|text| !text.is_empty());
    let program = text(0).unwrap_or_else(|| "a client without a name".to_owned());
    let user = text(1).map_or(String::new(), |user| format!(", user {user}"));
    format!("{program}{user}, which last ran: {}", one_line(&text(2).unwrap_or_default()))
}

/// Begins ptest's transaction; answers what [`Proof::read`] reads. It is sent before the database is proven to be ptest's, whose
/// owner decides where a name without a schema is looked for: so none is without one.
pub(super) fn begin_sql(level: Level) -> String {
    let level = match level {
        Level::ReadCommitted => String::new(),
        level => format!(" ISOLATION LEVEL {}", level.sql()),
    };
    format!(
        "BEGIN READ WRITE{level};SELECT pg_catalog.pg_try_advisory_xact_lock({KEY}), oid, {BEGAN}, \
         pg_catalog.pg_stat_get_db_numbackends(oid), {WRITTEN}, pg_catalog.pg_current_wal_insert_lsn() \
         FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
    )
}

/// What the server gets between two tests: `BEGIN READ WRITE` must follow `ROLLBACK` directly (else 25001).
pub(super) fn reset_sql(level: Level) -> String {
    format!("ROLLBACK;{}", ready_sql(level))
}

/// What opens the next test's transaction.
pub(super) fn ready_sql(level: Level) -> String {
    format!("{};DEALLOCATE ALL;DISCARD SEQUENCES;SAVEPOINT {}", begin_sql(level), sandbox::SAVEPOINT)
}

/// Restores sequences between two transactions: the old one may have remade one, and the new one must have no number yet.
/// Outside of both, the server takes note of what it has counted, and the count of
/// [`Which::Read`](super::sequences::Which::Read) begins anew.
pub(super) fn restore_sql(restore: &str) -> String {
    format!("ROLLBACK;BEGIN READ WRITE;{restore};ROLLBACK")
}

/// When the transaction began, in microseconds: a number, which no setting of a session writes otherwise.
const BEGAN: &str = "(extract(epoch FROM pg_catalog.transaction_timestamp()) OPERATOR(pg_catalog.*) 1000000)::bigint";

/// How often a row was inserted, updated or deleted in any table, those of catalogues included.
const WRITTEN: &str = "CASE WHEN pg_catalog.current_setting('server_version_num')::int OPERATOR(pg_catalog.>=) 150000 THEN \
    pg_catalog.pg_stat_get_db_tuples_inserted(oid) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_db_tuples_updated(oid) \
    OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_db_tuples_deleted(oid) END";

/// A position in the server's log, `16/B374D848`, in bytes.
fn log_position(text: Option<String>) -> u64 {
    let parse = |text: String| {
        let (high, low) = text.split_once('/')?;
        Some((u64::from_str_radix(high, 16).ok()? << 32) + u64::from_str_radix(low, 16).ok()?)
    };
    text.and_then(parse).unwrap_or_default()
}

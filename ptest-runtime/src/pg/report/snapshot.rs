//! The snapshot: what a test was at when it failed, or when its time was up.

use std::fmt;
use std::time::{Duration, Instant};

use super::statements;
use crate::pg::sandbox::Record;
use crate::pg::server::{APPLICATION, Address, Admin, quote_literal};

/// How long the server may take to say what it is at.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(super) at: Instant,
    pub(super) timed_out: bool,
    /// What the sessions of a sandbox said; `None`: there was no sandbox.
    pub(crate) record: Option<Record>,
    pub(super) processes: Vec<Process>,
}

/// A process of the server that is connected to the test's database, or blocks one that is.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: String,
    pub(super) application: String,
    pub(super) state: String,
    pub(super) wait: Option<String>,
    /// For how long it has been in that state.
    pub(super) since: Duration,
    pub(super) query: String,
    pub(super) blocked_by: String,
    /// It is connected to another database.
    pub(super) elsewhere: Option<String>,
}

impl Snapshot {
    pub(crate) fn now(timed_out: bool) -> Snapshot {
        Snapshot { at: Instant::now(), timed_out, record: None, processes: Vec::new() }
    }

    /// Of a test whose sandbox has ended.
    pub(crate) fn after(record: Record) -> Snapshot {
        Snapshot { record: Some(record), ..Snapshot::now(false) }
    }

    /// Whether the test is known to have run nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.entries.is_empty())
    }

    /// Asks the server through a connection of its own.
    pub(crate) async fn look_at_server(&mut self, server: &Address, database: &str) {
        let looked = async {
            if let Ok(mut admin) = Admin::open(server).await {
                self.look_through(&mut admin, database).await;
                admin.close().await;
            }
        };
        // Without an answer there is that much less to say.
        let _ = tokio::time::timeout(PATIENCE, looked).await;
    }

    /// Asks the server through this connection.
    pub(crate) async fn look_through(&mut self, admin: &mut Admin, database: &str) {
        let database = quote_literal(database);
        let sql = format!(
            "WITH own AS MATERIALIZED (SELECT pid, pg_catalog.pg_blocking_pids(pid) AS blockers \
               FROM pg_catalog.pg_stat_activity WHERE datname = {database} AND backend_type = 'client backend' \
               AND NOT (application_name = '{APPLICATION}' AND state = 'idle')) \
             SELECT a.pid, a.application_name, a.state, a.wait_event_type, a.wait_event, \
               extract(epoch FROM clock_timestamp() - a.state_change) * 1000, a.query, \
               array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', '), \
               CASE WHEN a.datname IS DISTINCT FROM {database} THEN coalesce(a.datname, a.backend_type) END \
             FROM pg_catalog.pg_stat_activity a \
             WHERE a.pid IN (SELECT pid FROM own UNION SELECT unnest(blockers) FROM own) \
             ORDER BY cardinality(pg_catalog.pg_blocking_pids(a.pid)) DESC, a.backend_start"
        );
        self.processes = admin.try_run(&sql).await.unwrap_or_default().into_iter().filter_map(Process::read).collect();
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, name: &str, sandbox: bool) -> fmt::Result {
        if let Some(record) = &self.record {
            statements::write(f, record, name)?;
            if self.timed_out {
                writeln!(f, "  when the time was up:")?;
            }
            statements::write_sessions(f, record, self.at)?;
            if self.timed_out && sandbox && listens(record) {
                writeln!(
                    f,
                    "  a session has said LISTEN, but no NOTIFY is delivered inside the transaction of a test: write \
                     isolation = \"database\""
                )?;
            }
        }
        if !sandbox {
            if self.record.is_none() {
                writeln!(f, "ptest: `{name}` had a database of its own, whose statements ptest does not see")?;
            }
            let when = if self.timed_out { "the time was up" } else { "the body ended" };
            match (self.processes.is_empty(), &self.record) {
                (true, None) => writeln!(f, "  no connection to it was open when {when}")?,
                (true, Some(_)) => {}
                (false, _) => writeln!(f, "  its connections when {when}:")?,
            }
        }
        self.processes.iter().try_for_each(|process| process.write(f, sandbox))
    }
}

/// Whether a session waits for what does not come.
fn listens(record: &Record) -> bool {
    let is_listen =
        |sql: &[u8]| sql.trim_ascii_start().get(..7).is_some_and(|head| head.eq_ignore_ascii_case(b"listen "));
    record.entries.iter().any(|entry| is_listen(&entry.said.text.sql))
}

impl Process {
    fn read(row: Vec<Option<String>>) -> Option<Process> {
        let [pid, application, state, kind, event, since, query, blocked_by, elsewhere] = row.try_into().ok()?;
        let wait = kind.filter(|kind| kind != "Client").zip(event).map(|(kind, event)| format!("{kind} {event}"));
        let millis = since.and_then(|millis| millis.parse().ok()).unwrap_or(0.0f64).max(0.0);
        Some(Process {
            pid: pid?,
            application: application.unwrap_or_default(),
            state: state.unwrap_or_default(),
            wait,
            since: Duration::from_secs_f64(millis / 1e3),
            query: query.unwrap_or_default(),
            blocked_by: blocked_by.unwrap_or_default(),
            elsewhere,
        })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, sandbox: bool) -> fmt::Result {
        let ours = sandbox && self.elsewhere.is_none();
        let who = if ours { "the server: process " } else { "process " };
        write!(f, "  {who}{}", self.pid)?;
        for (label, text) in [("", Some(&self.application)), ("in ", self.elsewhere.as_ref())] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                write!(f, " ({label}{text})")?;
            }
        }
        write!(f, " has been {} for {}", self.state, statements::time_of(self.since))?;
        if let Some(wait) = &self.wait {
            write!(f, ", waits for {wait}")?;
        }
        if !self.blocked_by.is_empty() {
            write!(f, ", blocked by process {}", self.blocked_by)?;
        }
        // In a sandbox, that is what ptest has made of it.
        if !ours && !self.query.is_empty() {
            let verb = if self.state == "active" { "runs" } else { "last ran" };
            write!(f, ", {verb} `{}`", statements::tidy(&self.query, false))?;
        }
        writeln!(f)
    }
}

//! Restoring: a database whose test has only filled empty tables is emptied, and is its template again.
//!
//! Nothing is assumed to be as it was. What a server shares among its databases is compared with the template's; of all
//! else the server counts, table by table, what was ever written since the clone was made, by whom and how it may have
//! ended, and those counters are complete when the last backend has gone (PostgreSQL manual, section 28.2). So what
//! nothing has written to is as in the template, and what was empty there needs to be empty again. A table that the
//! template has rows in, a catalogue: where anything else was written, the database is thrown away.
//!
//! The counters have one blind spot: a superuser's session that sets `track_counts` off.

use super::lease::{Leased, key};
use super::likeness::{self, Filled};
use crate::pg::server::{Address, Admin, Connection, QueryError, Rows, quote_ident, quote_literal};
use crate::pg::template::{claimed_name, spare_name, template_name, used_name};
use crate::sys::random;

/// From this version on the counters are in shared memory, and a backend can be told to report what it has counted.
const COUNTS: u32 = 15;

/// What the restoring session has: settings of the database do not count, triggers and rules do not run.
const SETTINGS: [(&str, &str); 7] = [
    ("session_replication_role", "replica"),
    ("stats_fetch_consistency", "none"),
    ("search_path", "pg_catalog"),
    ("default_transaction_read_only", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("role", "none"),
];

/// Opens a session in the test's database that can restore it; `None`: the server cannot tell what was written.
pub(super) async fn open(server: &Address, leased: &Leased) -> Option<Connection> {
    // Older servers do not know one of the settings, and only superusers may have another.
    let session = Connection::open(server, &leased.name, &SETTINGS).await.ok()?;
    (session.major_version() >= COUNTS && session.is_superuser()).then_some(session)
}

/// Makes the test's database a spare again, whose connections have all ended but the session in it. `false`: it is not its
/// template.
///
/// Before it is looked at, the database gets a name that no client of the test has ever known: by hand, for no statement
/// renames the database that one is in. A client that has found it by its old name holds a lock on it until it is counted as
/// connected, or else looks for the name once more, and is refused.
pub(super) async fn restore(session: &mut Connection, leased: &mut Leased) -> Result<bool, QueryError> {
    let number = random();
    let name = claimed_name(&leased.schema.fingerprint, number);
    let rename = format!(
        "UPDATE pg_catalog.pg_database SET datname = {} WHERE datname = pg_catalog.current_database()",
        quote_literal(&name)
    );
    let Some(Ok(())) = leased.claim.as_ref().map(|claim| claim.will_be(number)) else { return Ok(false) };
    // Both are under way at once.
    session.send(&rename).await?;
    leased.name = name;
    session.send(likeness::ASK).await?;
    let (renamed, seen) = (session.finish().await, session.finish().await);
    renamed?;
    let Some(since) = empty(session, leased, seen?).await? else { return Ok(false) };
    Ok(leased.claim.take().is_some_and(|claim| claim.becomes_spare(number, since).is_ok()))
}

/// The same where the lease is a lock of the server's: the database is renamed as databases are.
pub(super) async fn restore_on(admin: &mut Admin, leased: &mut Leased) -> Result<bool, QueryError> {
    if admin.connection().major_version() < COUNTS || !admin.connection().is_superuser() {
        return Ok(false);
    }
    let (number, fingerprint) = (random(), leased.schema.fingerprint.clone());
    admin.try_run(&format!("SELECT pg_catalog.pg_advisory_lock({})", key(number))).await?;
    give_name(admin, leased, used_name(&fingerprint, number)).await?;
    let Some(mut session) = open(admin.address(), leased).await else { return Ok(false) };
    let emptied = async {
        let seen = session.query(likeness::ASK).await?;
        empty(&mut session, leased, seen).await
    };
    let emptied = emptied.await;
    session.close().await;
    if emptied?.is_none() {
        return Ok(false);
    }
    give_name(admin, leased, spare_name(&fingerprint, number)).await?;
    Ok(true)
}

async fn give_name(admin: &mut Admin, leased: &mut Leased, name: String) -> Result<(), QueryError> {
    let (from, to) = (quote_ident(&leased.name), quote_ident(&name));
    admin.try_run(&format!("ALTER DATABASE {from} RENAME TO {to}")).await?;
    leased.name = name;
    Ok(())
}

/// Empties what was filled, and tells since when the counters count anew. `None`: something else was written.
async fn empty(session: &mut Connection, leased: &Leased, seen: Rows) -> Result<Option<String>, QueryError> {
    let template = template_name(&leased.schema.fingerprint);
    let Some(filled) = Filled::read(seen, &leased.name, &template, leased.counted_since.as_deref()) else {
        return Ok(None);
    };
    session.send(&filled.empty_sql()).await?;
    // The session has counted what it did itself.
    let since = counted_since("oid");
    let reset = format!(
        "SELECT pg_catalog.pg_stat_reset(); \
         SELECT {since} FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
    );
    session.send(&reset).await?;
    let (emptied, reset) = (session.finish().await, session.finish().await);
    emptied?;
    Ok(reset?.pop().and_then(|mut row| row.pop()?))
}

/// When a database's counters were reset last.
pub(super) fn counted_since(oid: &str) -> String {
    format!("extract(epoch FROM pg_catalog.pg_stat_get_db_stat_reset_time({oid}))::text")
}

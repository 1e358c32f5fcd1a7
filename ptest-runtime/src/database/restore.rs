//! Restoring: a database whose test has only filled empty tables is emptied, and is its template again.
//!
//! Nothing is assumed to be as it was. What a server shares among its databases is compared with the template's; of all
//! else the server counts, table by table, what was ever written since the clone was made, by whom and how it may have
//! ended, and those counters are complete when the last backend has gone (PostgreSQL manual, section 28.2). So what
//! nothing has written to is as in the template, and what was empty there needs to be empty again. A table that the
//! template has rows in, a catalogue: where anything else was written, the database is thrown away.
//!
//! The counters have one blind spot: a superuser's session that sets `track_counts` off.

use super::lease::{Leased, key, random};
use crate::lease::restore_sequences_sql;
use crate::server::{Address, Admin, Connection, QueryError, Rows, quote_ident, quote_literal};
use crate::template::facts::Facts;
use crate::template::{spare_name, template_name, used_name};

/// From this version on the counters are in shared memory, and a backend can be told to report what it has counted.
const COUNTS: u32 = 15;

/// Objects of users have greater numbers (`FirstNormalObjectId`).
const FIRST_OF_USERS: u32 = 16_384;

/// The number of `pg_database`, as the class of what comments and labels are about.
const CLASS: u32 = 1262;

/// A larger table, in bytes, costs as much to empty and to read past as a clone.
const LARGEST: u64 = 512 << 10;

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
    let name = used_name(&leased.schema.fingerprint, number);
    let rename = format!(
        "UPDATE pg_catalog.pg_database SET datname = {} WHERE datname = pg_catalog.current_database()",
        quote_literal(&name)
    );
    // Both are under way at once.
    session.send(&rename).await?;
    leased.name = name;
    session.send(&looks_sql(leased)).await?;
    let (renamed, seen) = (session.finish().await, session.finish().await);
    renamed?;
    let Some(since) = empty(session, seen?).await? else { return Ok(false) };
    Ok(leased.claim.take().is_some_and(|claim| claim.is_spare(number, &since).is_ok()))
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
        let seen = session.query(&looks_sql(leased)).await?;
        empty(&mut session, seen).await
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
async fn empty(session: &mut Connection, seen: Rows) -> Result<Option<String>, QueryError> {
    let Some(sql) = empty_sql(seen) else { return Ok(None) };
    session.send(&sql).await?;
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

/// Asks whether the session is alone and all that the server keeps of the database outside of it is as for the template, and
/// the counters have counted from the start; then what is in it.
///
/// Who is about to connect, first: then they are either there or counted.
fn looks_sql(leased: &Leased) -> String {
    let template = quote_literal(&template_name(&leased.schema.fingerprint));
    let since = leased.counted_since.as_deref().map_or("NULL".to_owned(), quote_literal);
    let row = |of: &str| format!("({of}.datdba, {of}.datacl, {of}.datconnlimit, {of}.dattablespace)");
    format!(
        "SELECT count(*) FROM pg_catalog.pg_lock_status() AS l, pg_catalog.pg_database AS d \
         WHERE datname = current_database() AND locktype = 'object' AND classid = {CLASS} AND objid = d.oid \
         AND pid <> pg_catalog.pg_backend_pid();\
         SELECT {} IS NOT DISTINCT FROM {} AND d.datallowconn AND NOT d.datistemplate \
         AND {} IS NOT DISTINCT FROM {since} AND pg_catalog.pg_stat_get_db_numbackends(d.oid) = 1 \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS setting \
           WHERE setdatabase IN (d.oid, t.oid) GROUP BY setrole, setting HAVING count(*) <> 2) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_shdescription WHERE objoid = d.oid AND classoid = {CLASS}) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_shseclabel WHERE objoid = d.oid AND classoid = {CLASS}) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_subscription WHERE subdbid = d.oid) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_get_replication_slots() AS s WHERE s.datoid = d.oid) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xact() AS x WHERE x.dbid = d.oid) \
         FROM pg_catalog.pg_database d, pg_catalog.pg_database t \
         WHERE d.datname = pg_catalog.current_database() AND t.datname = {template};{WRITTEN}",
        row("d"),
        row("t"),
        counted_since("d.oid"),
    )
}

/// Asks for the template's facts, and then for every table that was written to: its number, its name, and its size.
///
/// A cold backend pays for each function, operator and catalogue that a query names.
const WRITTEN: &str = "SELECT pg_catalog.current_setting('track_counts'), pg_catalog.current_setting('ptest.template', true);\
    SELECT oid, oid::regclass, pg_catalog.pg_relation_size(oid) FROM pg_catalog.pg_class \
    WHERE relkind IN ('r', 'm') AND NOT relisshared AND (pg_catalog.pg_stat_get_tuples_inserted(oid) > 0 \
      OR pg_catalog.pg_stat_get_tuples_updated(oid) > 0 OR pg_catalog.pg_stat_get_tuples_deleted(oid) > 0)";

/// What empties the tables of the answer and restores the sequences; `None`: that would not be the template.
fn empty_sql(rows: Rows) -> Option<String> {
    let mut rows = rows.into_iter();
    let mut is = |expected: &str| rows.next().is_some_and(|row| row == [Some(expected.to_owned())]);
    // Nobody is about to connect; all is as the template's.
    if !is("0") || !is("t") {
        return None;
    }
    let [counted, told] = <[_; 2]>::try_from(rows.next()?).ok()?;
    let facts = Facts::read(&told?).filter(|_| counted.as_deref() == Some("on"))?;
    let lasting: Vec<u32> = facts.lasting.as_ref()?.split(',').filter_map(|number| number.parse().ok()).collect();
    let mut sql = "BEGIN READ WRITE;".to_owned();
    for row in rows {
        let [number, name, size] = <[_; 3]>::try_from(row).ok()?;
        let number: u32 = number?.parse().ok()?;
        if number < FIRST_OF_USERS || lasting.contains(&number) || size?.parse::<u64>().ok()? > LARGEST {
            return None;
        }
        sql += &format!("DELETE FROM ONLY {};", name?);
    }
    if let Some(restore) = restore_sequences_sql(&facts) {
        sql += &format!("{restore};");
    }
    sql += "SELECT pg_catalog.pg_stat_force_next_flush();COMMIT";
    Some(sql)
}

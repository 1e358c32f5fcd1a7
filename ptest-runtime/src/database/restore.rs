//! Restoring: a database whose test has only filled empty tables is emptied, and is its template again.
//!
//! Nothing is assumed to be as it was. What a server shares among its databases is compared with the template's; of all
//! else the server counts, table by table, what was ever written since the clone was made, by whom and how it may have
//! ended, and those counters are complete when the last backend has gone (PostgreSQL manual, section 28.2). So what
//! nothing has written to is as in the template, and what was empty there needs to be empty again. A table that the
//! template has rows in, a catalogue: where anything else was written, the database is thrown away.
//!
//! The counters have one blind spot: a superuser's session that sets `track_counts` off.

use super::lease::{Leased, give_name, key, random};
use crate::lease::restore_sequences_sql;
use crate::server::{Admin, Connection, QueryError, Rows, quote_literal};
use crate::template::facts::Facts;
use crate::template::{spare_name, template_name, used_name};

/// From this version on the counters are in shared memory, and a backend can be told to report what it has counted.
const COUNTS: u32 = 150_000;

/// Objects of users have greater numbers (`FirstNormalObjectId`).
const FIRST_OF_USERS: u32 = 16_384;

/// The number of `pg_database`, as the class of what comments and labels are about.
const CLASS: u32 = 1262;

/// A larger table, in bytes, costs as much to empty and to read past as a clone.
const LARGEST: u64 = 512 << 10;

/// What the restoring session has: settings of the database do not count, triggers and rules do not run.
const SETTINGS: [(&str, &str); 6] = [
    ("session_replication_role", "replica"),
    ("stats_fetch_consistency", "none"),
    ("search_path", "pg_catalog"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("role", "none"),
];

/// Makes the test's database a spare again, whose connections have all ended. `false`: it is not its template.
///
/// Before it is looked at, the database gets a name that no client of the test has ever known.
pub(super) async fn restore(admin: &mut Admin, leased: &mut Leased) -> Result<bool, QueryError> {
    if admin.version() < COUNTS || !admin.is_superuser() {
        return Ok(false);
    }
    let number = random();
    if !is_as_its_template(admin, leased, number).await? {
        return Ok(false);
    }
    let used = used_name(&leased.schema.fingerprint, number);
    give_name(admin, &leased.name, &used).await?;
    leased.name = used;
    if !empty(admin, &leased.name).await {
        return Ok(false);
    }
    give_name(admin, &leased.name, &spare_name(&leased.schema.fingerprint, number)).await?;
    Ok(true)
}

/// When a database's counters were reset last.
pub(super) fn counted_since(oid: &str) -> String {
    format!("extract(epoch FROM pg_catalog.pg_stat_get_db_stat_reset_time({oid}))::text")
}

/// Whether all that the server keeps of the database outside of it is as for the template, and its counters have counted
/// from the start. Locks the number of its next name as well.
async fn is_as_its_template(admin: &mut Admin, leased: &Leased, number: u64) -> Result<bool, QueryError> {
    let (name, template) = (quote_literal(&leased.name), quote_literal(&template_name(&leased.schema.fingerprint)));
    let since = leased.counted_since.as_deref().map_or("NULL".to_owned(), quote_literal);
    let row = |of: &str| format!("({of}.datdba, {of}.datacl, {of}.datconnlimit, {of}.dattablespace)");
    let sql = format!(
        "SELECT {} IS NOT DISTINCT FROM {} AND d.datallowconn AND NOT d.datistemplate \
         AND {} IS NOT DISTINCT FROM {since} \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS setting \
           WHERE setdatabase IN (d.oid, t.oid) GROUP BY setrole, setting HAVING count(*) <> 2) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_shdescription WHERE objoid = d.oid AND classoid = {CLASS}) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_shseclabel WHERE objoid = d.oid AND classoid = {CLASS}) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_subscription WHERE subdbid = d.oid) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_get_replication_slots() AS s WHERE s.datoid = d.oid) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xact() AS x WHERE x.dbid = d.oid) \
         AND pg_catalog.pg_try_advisory_lock({}) \
         FROM pg_catalog.pg_database d, pg_catalog.pg_database t WHERE d.datname = {name} AND t.datname = {template}",
        row("d"),
        row("t"),
        counted_since("d.oid"),
        key(number),
    );
    let rows = admin.try_run(&sql).await?;
    Ok(rows.into_iter().flatten().flatten().next().as_deref() == Some("t"))
}

/// Empties what was filled, in a session of its own. `false`: something else was written, or the session failed.
async fn empty(admin: &Admin, name: &str) -> bool {
    let Ok(mut connection) = Connection::open(admin.address(), name, &SETTINGS).await else { return false };
    let emptied = async {
        let Some(sql) = empty_sql(connection.query(WRITTEN).await?) else { return Ok(false) };
        connection.query(&sql).await?;
        // The session has counted what it did itself.
        connection.query("SELECT pg_catalog.pg_stat_reset()").await?;
        Ok::<_, QueryError>(true)
    };
    let emptied = emptied.await.unwrap_or(false);
    connection.close().await;
    emptied
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

//! Bloat: rows that were rolled back still take their place, until nobody remembers how small the slot was.
//!
//! Its size costs half a millisecond to ask for, so it is asked for as often as much has been written: in the mean once
//! for each [`SHARE`] of the server's log, which holds all that tests write. A process that runs one test needs no memory
//! of the others for that. A slot that has grown to the double is detached, as one that can no longer be trusted, and the
//! next test that finds it missing clones another: a clone every few hundred tests.

use crate::pg::sandbox::{Backend, Lost};
use crate::pg::server::quote_literal;
use crate::pg::template::family_of;
use crate::sys::random;

/// How much is written to the log, in the mean, before the size is asked for.
const SHARE: u64 = 4 << 20;

/// How many bytes a slot may always grow by.
const ALLOWED: u64 = 8 << 20;

/// Whether to ask for the size, when so many bytes were written to the log.
pub(super) fn is_due(logged: u64) -> bool {
    logged > 0 && (logged >= SHARE || random() % SHARE < logged)
}

/// Whether the slot has grown to the double of its template.
pub(super) async fn is_bloated(backend: &mut Backend, database: &str) -> Result<bool, Lost> {
    let template = format!("{}_template", family_of(database));
    let sql = format!(
        "SELECT datname, pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database \
         WHERE datname IN ({}, {}) AND pg_catalog.has_database_privilege(oid, 'CONNECT')",
        quote_literal(database),
        quote_literal(&template)
    );
    let rows = backend.query(&sql).await?;
    let size = |name: &str| {
        let row = rows.iter().find(|row| row.first().and_then(Option::as_deref) == Some(name))?;
        row.get(1)?.as_deref()?.parse::<u64>().ok()
    };
    Ok(match (size(database), size(&template)) {
        (Some(slot), Some(template)) => slot > 2 * template && slot > template + ALLOWED,
        _ => false,
    })
}

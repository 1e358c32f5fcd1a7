//! The advisory locks that a body has left behind, of those that a session holds.

use crate::audit::Finding;
use crate::pg::sandbox::{Backend, Lost};

/// Releases the session's locks, and names them. Those of transactions stay, the lease's among them, which therefore is
/// held throughout; the lease's session lock is retaken with the next question.
pub(super) async fn held(backend: &mut Backend) -> Result<Option<Finding>, Lost> {
    let before = backend.query(LOCKS).await?;
    let after = backend.query(&format!("SELECT pg_catalog.pg_advisory_unlock_all();{LOCKS}")).await?;
    let keys: Vec<String> = before.into_iter().filter(|lock| !after.contains(lock)).filter_map(key).collect();
    Ok((!keys.is_empty()).then_some(Finding::AdvisoryLock { keys }))
}

/// A function, not the view, which costs a new backend milliseconds. It does not tell a session's locks from a
/// transaction's, so it is asked twice.
const LOCKS: &str = "SELECT classid, objid, objsubid FROM pg_catalog.pg_lock_status() \
    WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() ORDER BY 1, 2, 3";

/// The key as it was given: one number, or two (PostgreSQL manual, section 54.12, `pg_locks`).
fn key(lock: Vec<Option<String>>) -> Option<String> {
    let number = |i: usize| lock.get(i)?.as_deref()?.parse::<u32>().ok();
    let (high, low) = (number(0)?, number(1)?);
    Some(match number(2)? {
        1 => ((u64::from(high) << 32 | u64::from(low)) as i64).to_string(),
        _ => format!("({}, {})", high as i32, low as i32),
    })
}

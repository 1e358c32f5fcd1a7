//! The clients of a test's database: who is connected, at what, and how they are ended.

use std::time::{Duration, Instant};

use super::lease::Leased;
use crate::audit::Straggler;
use crate::pg::server::{Admin, Connection, QueryError, quote_ident, quote_literal};

/// How long the backends of connections that are closed may take to end, before they count as leaked.
const ENDING: Duration = Duration::from_secs(1);

/// How long they may take before it is asked who they are.
const LINGERING: Duration = Duration::from_millis(20);

/// Ends the connections to the database, and keeps clients from making new ones.
pub(super) async fn stop(admin: &mut Admin, leased: &Leased) {
    let close = format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", quote_ident(&leased.name));
    let end = format!("SELECT pg_catalog.pg_terminate_backend(pid) FROM {}", clients(leased));
    let _ = admin.try_run(&close).await;
    // Twice, for a backend that was let in just before.
    for _ in 0..2 {
        let _ = admin.try_run(&end).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The connections that are idle in a transaction.
pub(super) async fn open_transactions(
    connection: &mut Connection,
    leased: &Leased,
) -> Result<Vec<Straggler>, QueryError> {
    let sql = format!("SELECT {STATE} FROM {} AND state = 'idle in transaction'", clients(leased));
    let rows = connection.query(&sql).await?;
    Ok(rows.into_iter().map(|row| straggler(row, false)).collect())
}

/// The connections that are still open when the backends of closed ones have had time to end.
///
/// The one who asks is not among them, who may be connected to this database, or to another.
pub(super) async fn leaks(
    connection: &mut Connection,
    leased: &Leased,
    is_inside: bool,
) -> Result<Vec<Straggler>, QueryError> {
    let count = format!(
        "SELECT pg_catalog.pg_stat_get_db_numbackends(oid) FROM pg_catalog.pg_database WHERE datname = {}",
        quote_literal(&leased.name)
    );
    let nobody = if is_inside { "1" } else { "0" };
    let sql = format!("SELECT {STATE} FROM {} ORDER BY backend_start", clients(leased));
    let started = Instant::now();
    loop {
        // How many there are costs a new backend less than who they are; but the server's own count as well.
        let count = connection.query(&count).await?.into_iter().flatten().flatten().next();
        if count.as_deref() == Some(nobody) {
            return Ok(Vec::new());
        }
        if started.elapsed() > LINGERING {
            let rows = connection.query(&sql).await?;
            if rows.is_empty() || started.elapsed() > ENDING {
                return Ok(rows.into_iter().map(|row| straggler(row, true)).collect());
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What a [`Straggler`] is made from.
const STATE: &str = "query, state LIKE 'idle in transaction%'";

fn straggler(row: Vec<Option<String>>, connected: bool) -> Straggler {
    let [sql, in_transaction] = [0, 1].map(|i| row.get(i).cloned().flatten().unwrap_or_default());
    Straggler { session: None, sql, in_transaction: in_transaction == "t", connected }
}

/// The connections of clients to a database. A function, not the view of it: that costs a new backend milliseconds.
fn clients(leased: &Leased) -> String {
    format!(
        "pg_catalog.pg_stat_get_activity(NULL) AS a WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
         AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {})",
        quote_literal(&leased.name)
    )
}

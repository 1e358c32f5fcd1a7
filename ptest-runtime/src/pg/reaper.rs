//! The reaper: drops what nobody uses any more.
//!
//! It drops only what ptest has proven to be its own: a database of ptest's user whose name has the form of ptest's names, and
//! whose fingerprint has a template with ptest's comment, of that user too. What others have made is not even looked at. It drops nothing that has backends or whose lock is held, be
//! it the server's or that of a claim, and templates last. Databases with names of another form are kept, and so is the template that they come from.
//!
//! Garbage is what killed tests left, and what was kept for the user, after a day. Everything else goes when nobody has
//! connected to any database of its fingerprint for a week: the reaper notes in the template's comment what the server
//! counted, and since when; tests do nothing for it. Where the counters were reset, that counts as use.

mod family;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use crate::pg::clone::claim;
use crate::pg::server::{self, Address, Admin, QueryError, ServerError, quote_ident, quote_literal};
use crate::pg::template::{PREFIX, is_owner_sql, template_name};
use family::{Database, Family, Kind, Note, marked_families};

/// What has not been used for so long is dropped.
pub(crate) const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often tests with databases of their own have the reaper run, and folders of sockets are swept.
pub(crate) const PERIOD: Duration = Duration::from_secs(5 * 60);

/// As many statements as the server runs without an answer on the way, for which a client that has gone would have to be there.
const MOST_AT_ONCE: usize = 32;

/// How long a test waits for the reaper.
const PATIENCE: Duration = Duration::from_secs(1);

/// One reaper runs at a time.
const LOCK: i64 = 0x7074_6573_7402;

/// Runs the reaper, on a thread of its own, which may be killed at any point. Waits for it for a moment: a process that runs
/// one test ends with it.
pub(super) fn reap(server: &Address) {
    let server = server.clone();
    apart(async move || drop(run(&server).await));
}

/// Without a thread or a server there is nothing that a test should know: another run will do the work.
fn apart(work: impl AsyncFnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("ptest reaper".to_owned());
    let started = thread.spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(work());
        }
        let _ = done.send(());
    });
    if started.is_ok() {
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

async fn run(server: &Address) -> Result<(), ServerError> {
    let mut admin = Admin::open(server).await?;
    admin.outlive_client().await?;
    let locked = admin.run(&format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK})")).await?;
    if locked.into_iter().flatten().flatten().next().as_deref() == Some("t") {
        sweep(&mut admin, "[0-9a-f]{16}", UNUSED).await?;
    }
    admin.close().await;
    Ok(())
}

/// Drops what is garbage, and what has been unused for so long, of the fingerprints that match.
async fn sweep(admin: &mut Admin, fingerprints: &str, unused: Duration) -> Result<(), ServerError> {
    let families = families(admin, fingerprints).await?;
    let garbage: Vec<String> = families.values().flat_map(Family::garbage).map(|d| drop_sql(&d.name)).collect();
    if !garbage.is_empty() {
        // As one batch: also if this process ends now, the server drops it all.
        let mut done = match admin.send_batch(&garbage).await {
            Ok(()) => admin.finish().await,
            Err(error) => Err(error.into()),
        };
        // One that cannot be dropped ends the batch: the others go one by one.
        for sql in garbage.iter().filter(|_| matches!(done, Err(QueryError::Db(_)))).collect::<Vec<_>>() {
            if let Err(QueryError::Io(error)) = admin.try_run(sql).await {
                done = Err(error.into());
                break;
            }
        }
        if let Err(QueryError::Io(_)) = done {
            return Ok(());
        }
    }
    if let Some(claims) = server::claims(admin.address()) {
        for (fingerprint, family) in &families {
            let busy: Vec<u64> = family.databases.iter().filter(|d| d.is_busy()).filter_map(Database::number).collect();
            claim::forget_left(&claims, fingerprint, &busy);
        }
    }
    for (fingerprint, family) in &families {
        match family.note(unused) {
            Note::Fresh => {}
            Note::Write(comment) => admin.run(&comment_sql(fingerprint, &comment)).await.map(drop)?,
            Note::Unused => drop_family(admin, fingerprint, family).await?,
        }
    }
    Ok(())
}

/// Has the server drop what killed tests of a fingerprint left, some of it at least: it does so when this call has returned,
/// and also when this process ends. Meanwhile that is locked, so nobody else sees to it.
pub(super) fn relieve(server: &Address, fingerprint: &str) {
    let (server, fingerprint) = (server.clone(), fingerprint.to_owned());
    // The next test will try again.
    apart(async move || drop(drop_left(&server, &fingerprint).await));
}

async fn drop_left(server: &Address, fingerprint: &str) -> Result<(), ServerError> {
    let mut admin = Admin::open(server).await?;
    admin.outlive_client().await?;
    let families = families(&mut admin, fingerprint).await?;
    let used = families.values().flat_map(Family::garbage).filter(|d| d.kind == Kind::Used);
    let used: Vec<&Database> = used.take(MOST_AT_ONCE).collect();
    let names: Vec<String> = used.iter().map(|d| quote_literal(&d.name)).collect();
    let dropped: Vec<u64> = used.iter().filter_map(|d| d.number()).collect();
    let numbers = families.values().flat_map(|family| &family.databases).filter_map(Database::number);
    let kept: Vec<u64> = numbers.filter(|number| !dropped.contains(number)).collect();
    // A notice to a client that has gone would end the batch.
    let lock = format!(
        "SET client_min_messages = error; \
         SELECT name FROM unnest(ARRAY[{}]::text[]) AS name \
         WHERE pg_catalog.pg_try_advisory_lock(('x' || right(name, 16))::bit(64)::bigint)",
        names.join(", ")
    );
    let locked = admin.run(&lock).await?.into_iter().flatten().flatten();
    let drops: Vec<String> = locked.map(|name| drop_sql(&name)).collect();
    // Without an answer: whoever waits for it is a test.
    if admin.send_batch(&drops).await.is_ok()
        && let Some(claims) = server::claims(server)
    {
        claim::forget_left(&claims, fingerprint, &kept);
    }
    Ok(())
}

/// Drops everything of ptest's that is not in use, however short a time ago it was.
pub(super) async fn sweep_all(admin: &mut Admin) -> Result<(), ServerError> {
    // The first time the use is noted, and the second time there was none since.
    for _ in 0..2 {
        sweep(admin, "[0-9a-f]{16}", Duration::ZERO).await?;
    }
    Ok(())
}

/// The databases of ptest's, and what kind each is.
pub(super) async fn own_databases(admin: &mut Admin) -> Result<Vec<(String, &'static str)>, ServerError> {
    let families = families(admin, "[0-9a-f]{16}").await?;
    let own = families.into_values().flat_map(|family| family.databases).filter(|d| d.kind != Kind::Foreign);
    Ok(own.map(|d| (d.name, d.kind.word())).collect())
}

async fn families(admin: &mut Admin, fingerprints: &str) -> Result<BTreeMap<String, Family>, ServerError> {
    // Sessions are counted for clients alone. Transactions, before version 14, are autovacuum's too: then there is always use.
    let used = if admin.version() >= 140_000 {
        "pg_catalog.pg_stat_get_db_sessions(d.oid)"
    } else {
        "pg_catalog.pg_stat_get_db_xact_commit(d.oid) + pg_catalog.pg_stat_get_db_xact_rollback(d.oid)"
    };
    let sql = format!(
        "WITH busy AS MATERIALIZED (\
           SELECT datid FROM pg_catalog.pg_stat_get_activity(NULL) UNION ALL \
           SELECT d.oid FROM pg_catalog.pg_prepared_xacts x JOIN pg_catalog.pg_database d ON d.datname = x.database), \
         keys AS MATERIALIZED (\
           SELECT lpad(to_hex(classid::bigint), 8, '0') || lpad(to_hex(objid::bigint), 8, '0') AS key \
           FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 1) \
         SELECT d.datname, d.datallowconn, EXISTS (SELECT FROM busy WHERE datid = d.oid), \
           EXISTS (SELECT FROM keys WHERE key = right(d.datname, 16)), \
           format('%s/%s/%s', d.oid, {used}, extract(epoch FROM pg_catalog.pg_stat_get_db_stat_reset_time(d.oid))), \
           pg_catalog.shobj_description(d.oid, 'pg_database'), floor(extract(epoch FROM now()))::bigint \
         FROM pg_catalog.pg_database d \
         WHERE d.datname ~ {} AND {} ORDER BY d.datname",
        quote_literal(&format!("^{PREFIX}{fingerprints}_")),
        is_owner_sql("d", &admin.address().user)
    );
    let mut families = marked_families(admin.run(&sql).await?);
    // After the databases: none is there before its claim.
    if let Some(claims) = server::claims(admin.address()) {
        families.iter_mut().for_each(|(fingerprint, family)| family.claimed(&claim::states(&claims, fingerprint)));
    }
    Ok(families)
}

/// Drops everything of a fingerprint, the template last and only if nothing else is left: it proves what they are.
async fn drop_family(admin: &mut Admin, fingerprint: &str, family: &Family) -> Result<(), ServerError> {
    let template = template_name(fingerprint);
    let garbage: Vec<&str> = family.garbage().map(|d| d.name.as_str()).collect();
    for database in family.databases.iter().filter(|d| matches!(d.kind, Kind::Slot | Kind::Spare)) {
        let claims = server::claims(admin.address()).filter(|_| database.kind == Kind::Spare);
        if claims.zip(database.number()).is_some_and(|(claims, number)| !claim::discard(&claims, fingerprint, number)) {
            return Ok(());
        }
        // Never with FORCE. If somebody has connected meanwhile, this fails, and the rest is for another time.
        if !garbage.contains(&database.name.as_str()) && admin.try_run(&drop_sql(&database.name)).await.is_err() {
            return Ok(());
        }
    }
    let left = format!(
        "SELECT 1 FROM pg_catalog.pg_database d WHERE datname ~ {} AND datname <> {} AND {}",
        quote_literal(&format!("^{PREFIX}{fingerprint}_")),
        quote_literal(&template),
        is_owner_sql("d", &admin.address().user)
    );
    if admin.run(&left).await?.is_empty() {
        admin.run(&format!("ALTER DATABASE {} IS_TEMPLATE false", quote_ident(&template))).await?;
        admin.run(&drop_sql(&template)).await?;
    }
    Ok(())
}

fn drop_sql(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {}", quote_ident(name))
}

fn comment_sql(fingerprint: &str, comment: &str) -> String {
    format!("COMMENT ON DATABASE {} IS {}", quote_ident(&template_name(fingerprint)), quote_literal(comment))
}

#[cfg(test)]
mod tests;

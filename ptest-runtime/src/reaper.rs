//! The reaper: drops what nobody uses any more.
//!
//! It drops only what ptest has proven to be its own: a database whose name has the form of ptest's names, and whose
//! fingerprint has a template with ptest's comment. It drops nothing that has backends or whose lock is held, and templates
//! last. Databases with names of another form are kept, and so is the template that they come from.
//!
//! Garbage is what killed tests left, and what was kept for the user, after a day. Everything else goes when nobody has
//! connected to any database of its fingerprint for a week: the reaper notes in the template's comment what the server
//! counted, and since when; tests do nothing for it. Where the counters were reset, that counts as use.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::kept::KEPT;
use crate::server::{Address, Admin, QueryError, Rows, ServerError, quote_ident, quote_literal};
use crate::template::{KEPT_MARK, MARK, PREFIX, template_name};

/// What has not been used for so long is dropped.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often tests with databases of their own have the reaper run.
const PERIOD: Duration = Duration::from_secs(5 * 60);

/// Where the note begins in a template's comment.
pub(crate) const UNUSED_SINCE: &str = "; unused since ";

/// One reaper runs at a time.
const LOCK: i64 = 0x7074_6573_7402;

/// Runs the reaper unless it ran a short while ago, as a file in ptest's own folder tells.
pub(crate) fn start_if_due(server: &Address, target_dir: &Path) {
    let stamp = target_dir.join("reaped");
    let modified = std::fs::metadata(&stamp).and_then(|file| file.modified());
    let recent = |at: SystemTime| at.elapsed().is_ok_and(|age| age < PERIOD);
    if !modified.is_ok_and(recent) {
        let _ = std::fs::create_dir_all(target_dir).and_then(|()| std::fs::write(&stamp, ""));
        start(server);
    }
}

/// Runs the reaper on a thread of its own, for which nobody waits. It may be killed at any point.
pub(crate) fn start(server: &Address) {
    let server = server.clone();
    // Without a thread or a server there is nothing that a test should know: another run will do the work.
    let _ = std::thread::Builder::new().name("ptest reaper".to_owned()).spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            let _ = runtime.block_on(run(&server));
        }
    });
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
    let garbage: Vec<String> = families.values().flat_map(Family::garbage).map(drop_sql).collect();
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
    for (fingerprint, family) in &families {
        match family.note(unused) {
            Note::Fresh => {}
            Note::Write(comment) => admin.run(&comment_sql(fingerprint, &comment)).await.map(drop)?,
            Note::Unused => drop_family(admin, fingerprint, family).await?,
        }
    }
    Ok(())
}

/// The databases of one fingerprint, whose template is ptest's beyond doubt.
#[derive(Debug, Default)]
struct Family {
    databases: Vec<Database>,
    /// What follows ptest's mark in the template's comment.
    noted: String,
    /// The server's time, in seconds.
    now: u64,
}

#[derive(Debug)]
struct Database {
    name: String,
    kind: Kind,
    /// Whether it takes connections.
    open: bool,
    /// Whether it has backends, or prepared transactions.
    busy: bool,
    /// Whether the lock with its number is held.
    locked: bool,
    /// How often it was used, in a form that is only ever compared.
    used: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Template,
    Slot,
    Spare,
    Used,
    /// A template under construction.
    Build,
    /// A slot that was given up.
    Detached,
    /// Kept for the user, since this time of the server's, in microseconds.
    Kept(u64),
    Foreign,
}

/// What to do about a family's note.
#[derive(Debug, PartialEq, Eq)]
enum Note {
    /// Nothing has changed since, and not for long enough.
    Fresh,
    /// There was use: note it, in a new comment.
    Write(String),
    /// Nothing has changed for so long.
    Unused,
}

impl Family {
    fn garbage(&self) -> impl Iterator<Item = &str> {
        let garbage = |d: &&Database| {
            let dead = match d.kind {
                Kind::Used => !d.locked,
                // Its clone was never completed.
                Kind::Spare => !d.open && !d.locked,
                // Where there is a template, nobody builds one.
                Kind::Build | Kind::Detached => true,
                Kind::Kept(micros) => self.now.saturating_sub(micros / 1_000_000) >= KEPT.as_secs(),
                Kind::Template | Kind::Slot | Kind::Foreign => false,
            };
            dead && !d.busy
        };
        self.databases.iter().filter(garbage).map(|d| d.name.as_str())
    }

    fn note(&self, unused: Duration) -> Note {
        let used: Vec<&str> = self.databases.iter().map(|d| d.used.as_str()).collect();
        let used = used.join(" ");
        let in_use = self.databases.iter().any(|d| d.busy || d.locked);
        let (kept, noted) = self.noted.split_once(UNUSED_SINCE).unwrap_or((&self.noted, ""));
        match noted.split_once(": ") {
            Some((since, then)) if then == used && !in_use => match since.parse::<u64>() {
                Ok(since) if self.now.saturating_sub(since) >= unused.as_secs() => Note::Unused,
                _ => Note::Fresh,
            },
            _ => Note::Write(format!("{MARK}{kept}{UNUSED_SINCE}{}: {used}", self.now)),
        }
    }
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
         WHERE d.datname ~ {} AND pg_catalog.pg_has_role(d.datdba, 'USAGE') ORDER BY d.datname",
        quote_literal(&format!("^{PREFIX}{fingerprints}_"))
    );
    Ok(marked_families(admin.run(&sql).await?))
}

fn marked_families(rows: Rows) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut marked = Vec::new();
    for row in rows {
        let Ok([name, open, busy, locked, used, comment, now]) = <[_; 7]>::try_from(row) else { continue };
        let (Some(name), Some(now)) = (name, now.and_then(|now| now.parse().ok())) else { continue };
        let Some((fingerprint, rest)) = name.strip_prefix(PREFIX).and_then(|name| name.split_once('_')) else {
            continue;
        };
        let is = |value: Option<String>| value.as_deref() != Some("f");
        let (fingerprint, mut kind) = (fingerprint.to_owned(), Kind::of(rest));
        if matches!(kind, Kind::Kept(_)) && comment.as_deref() != Some(KEPT_MARK) {
            kind = Kind::Foreign;
        }
        let family = families.entry(fingerprint.clone()).or_default();
        family.now = now;
        if let (Kind::Template, Some(noted)) = (kind, comment.as_deref().and_then(|text| text.strip_prefix(MARK))) {
            family.noted = noted.to_owned();
            marked.push(fingerprint);
        }
        let used = used.unwrap_or_default();
        family.databases.push(Database { name, kind, open: is(open), busy: is(busy), locked: is(locked), used });
    }
    families.retain(|fingerprint, _| marked.contains(fingerprint));
    families
}

impl Kind {
    /// The kind of a database by what follows the fingerprint in its name.
    fn of(rest: &str) -> Kind {
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match rest.split('_').collect::<Vec<_>>()[..] {
            ["template"] => Kind::Template,
            [number] if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => Kind::Slot,
            ["spare", number] if hex(number) && number.len() == 16 => Kind::Spare,
            ["used", number] if hex(number) && number.len() == 16 => Kind::Used,
            ["build", process, time] if hex(process) && hex(time) => Kind::Build,
            ["detached", number] if hex(number) => Kind::Detached,
            ["kept", micros] if hex(micros) && micros.len() == 16 => {
                u64::from_str_radix(micros, 16).map_or(Kind::Foreign, Kind::Kept)
            }
            _ => Kind::Foreign,
        }
    }
}

/// Drops everything of a fingerprint, the template last and only if nothing else is left: it proves what they are.
async fn drop_family(admin: &mut Admin, fingerprint: &str, family: &Family) -> Result<(), ServerError> {
    let template = template_name(fingerprint);
    let garbage: Vec<&str> = family.garbage().collect();
    for database in family.databases.iter().filter(|d| matches!(d.kind, Kind::Slot | Kind::Spare)) {
        // Never with FORCE. If somebody has connected meanwhile, this fails, and the rest is for another time.
        if !garbage.contains(&database.name.as_str()) && admin.try_run(&drop_sql(&database.name)).await.is_err() {
            return Ok(());
        }
    }
    let left = format!(
        "SELECT 1 FROM pg_catalog.pg_database WHERE datname ~ {} AND datname <> {}",
        quote_literal(&format!("^{PREFIX}{fingerprint}_")),
        quote_literal(&template)
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

//! What a keeper says to the server, in the order of a test's life.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use super::restore;
use crate::audit::Straggler;
use crate::config::Config;
use crate::lease::{LeaseError, mark_kept, rename};
use crate::reaper;
use crate::report::Kept;
use crate::server::{Address, Admin, QueryError, Rows, ServerError, quote_ident, quote_literal};
use crate::template::{self, PREFIX, Schema, kept_name, spare_name, template_name, used_name};
use crate::test::Level;

/// How long the backends of connections that are closed may take to end, before they count as leaked.
const ENDING: Duration = Duration::from_secs(1);

/// How long they may take before it is asked who they are.
const LINGERING: Duration = Duration::from_millis(20);

/// How long a server may take to let clients in.
const STARTING: Duration = Duration::from_secs(30);

/// The first half of the keys of the numbers of tests.
const NUMBERS: i32 = 0x7074_6e6f;

/// Numbers beyond this one mean that something else is wrong.
const MOST_NUMBERS: u32 = 1000;

/// As many databases of killed tests as may stay until the reaper comes, for each template.
const MOST_LEFT: u32 = 4;

/// A database, locked, of one test.
pub(super) struct Leased {
    pub(super) name: String,
    pub(super) schema: Schema,
    /// When the database's counters were reset last, as the server says it.
    pub(super) counted_since: Option<String>,
    /// Whether killed tests have left more than [`MOST_LEFT`].
    piled_up: bool,
}

/// Connects to the server, which may be starting up.
pub(super) async fn open(server: &Address) -> crate::Result<Admin> {
    let started = Instant::now();
    loop {
        match Admin::open(server).await {
            Err(e) if e.code() == Some("57P03") && started.elapsed() < STARTING => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
            Ok(mut admin) => {
                admin.outlive_client().await?;
                return Ok(admin);
            }
        }
    }
}

/// Makes a spare the test's; without a spare, clones the template.
pub(super) async fn take(admin: &mut Admin, schema: Schema) -> crate::Result<Leased> {
    let piled_up = loop {
        let (spare, piled_up) = lock_spare(admin, &schema.fingerprint).await?;
        let Some((number, counted_since)) = spare else { break piled_up };
        let (spare, name) = (spare_name(&schema.fingerprint, number), used_name(&schema.fingerprint, number));
        match give_name(admin, &spare, &name).await {
            Ok(()) => return Ok(Leased { name, schema, counted_since, piled_up }),
            // Another test had it between our two statements.
            Err(QueryError::Db(error)) if error.code == "3D000" => {}
            // Somebody looks into it.
            Err(QueryError::Db(error)) if error.code == "55006" => break piled_up,
            Err(QueryError::Io(_)) => return Err(LeaseError::Gone.into()),
            Err(QueryError::Db(error)) => return Err(crate::Error::other(error)),
        }
    };
    let number = random();
    let name = used_name(&schema.fingerprint, number);
    run(admin, &format!("SELECT pg_catalog.pg_advisory_lock({})", key(number))).await?;
    template::ensure(admin, &schema).await?;
    template::clone_into(admin, &schema, &name).await?;
    Ok(Leased { name, schema, counted_since: None, piled_up })
}

/// Gives a database another name.
pub(super) async fn give_name(admin: &mut Admin, from: &str, to: &str) -> Result<(), QueryError> {
    admin.try_run(&format!("ALTER DATABASE {} RENAME TO {}", quote_ident(from), quote_ident(to))).await.map(drop)
}

/// Where killed tests have left too much, has the server drop it, whatever becomes of this process.
pub(super) async fn relieve(server: &Address, leased: &Leased) {
    if leased.piled_up {
        // The next test will try again.
        let _ = reaper::relieve(server, &leased.schema.fingerprint).await;
    }
}

/// Sets the default of the database's transactions. A spare has none: it goes with the database.
pub(super) async fn set_level(admin: &mut Admin, leased: &Leased, level: Level) -> crate::Result<()> {
    let (name, level) = (quote_ident(&leased.name), quote_literal(level.sql()));
    run(admin, &format!("ALTER DATABASE {name} SET default_transaction_isolation = {level}")).await.map(drop)
}

/// Locks a spare that is complete, if there is one, and tells its number, when its counters were reset, and whether killed
/// tests have left too much.
async fn lock_spare(admin: &mut Admin, fingerprint: &str) -> crate::Result<(Option<(u64, Option<String>)>, bool)> {
    let of = |kind: &str| quote_literal(&format!("^ptest_{fingerprint}_{kind}_[0-9a-f]{{16}}$"));
    let (spare, used) = (of("spare"), of("used"));
    // A lock of the transaction is gone with it: the reaper must not find it.
    let sql = format!(
        "SELECT s.number, {}, u.piled_up FROM (SELECT EXISTS (SELECT FROM (SELECT right(datname, 16) AS number \
           FROM pg_catalog.pg_database WHERE datname ~ {used} OFFSET 0) AS used \
         WHERE pg_catalog.pg_try_advisory_xact_lock(('x' || number)::bit(64)::bigint) OFFSET {MOST_LEFT}) AS piled_up) AS u \
         LEFT JOIN LATERAL (SELECT number, oid FROM (SELECT right(datname, 16) AS number, oid \
           FROM pg_catalog.pg_database WHERE datallowconn AND datname ~ {spare} OFFSET 0) AS spares \
         WHERE pg_catalog.pg_try_advisory_lock(('x' || number)::bit(64)::bigint) LIMIT 1) AS s ON true",
        restore::counted_since("s.oid")
    );
    let rows = run_all(admin, &sql).await?;
    let [number, counted_since, piled_up] =
        rows.into_iter().next().and_then(|row| row.try_into().ok()).unwrap_or_default();
    let number = number.and_then(|number| u64::from_str_radix(&number, 16).ok());
    Ok((number.map(|number| (number, counted_since)), piled_up.as_deref() == Some("t")))
}

/// Locks the smallest number from `first` on that is free.
pub(super) async fn number(admin: &mut Admin, first: u32) -> crate::Result<u32> {
    for number in (first..MOST_NUMBERS).chain(0..first) {
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({NUMBERS}, {number})");
        if run(admin, &sql).await?.as_deref() == Some("t") {
            return Ok(number);
        }
    }
    Err(LeaseError::Exhausted { tried: MOST_NUMBERS }.into())
}

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
pub(super) async fn open_transactions(admin: &mut Admin, leased: &Leased) -> Result<Vec<Straggler>, QueryError> {
    let rows =
        admin.try_run(&format!("SELECT {STATE} FROM {} AND state = 'idle in transaction'", clients(leased))).await?;
    Ok(rows.into_iter().map(|row| straggler(row, false)).collect())
}

/// The connections that are still open when the backends of closed ones have had time to end.
pub(super) async fn leaks(admin: &mut Admin, leased: &Leased) -> Result<Vec<Straggler>, QueryError> {
    let count = format!(
        "SELECT pg_catalog.pg_stat_get_db_numbackends(oid) FROM pg_catalog.pg_database WHERE datname = {}",
        quote_literal(&leased.name)
    );
    let sql = format!("SELECT {STATE} FROM {} ORDER BY backend_start", clients(leased));
    let started = Instant::now();
    loop {
        // How many there are costs a new backend less than who they are; but the server's own count as well.
        let count = admin.try_run(&count).await?.into_iter().flatten().flatten().next();
        if count.as_deref() == Some("0") {
            return Ok(Vec::new());
        }
        if started.elapsed() > LINGERING {
            let rows = admin.try_run(&sql).await?;
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
        "pg_catalog.pg_stat_get_activity(NULL) AS a WHERE backend_type = 'client backend' \
         AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {})",
        quote_literal(&leased.name)
    )
}

/// Sends what follows a test: its database is dropped, and cloned anew where there are too few spares.
pub(super) async fn throw_away(admin: &mut Admin, leased: &Leased) -> Result<(), QueryError> {
    let fingerprint = &leased.schema.fingerprint;
    let number = random();
    let like = quote_literal(&format!("ptest\\_{fingerprint}\\_spare\\_%"));
    let sql = format!(
        "SELECT count(*), pg_catalog.pg_try_advisory_lock({}) FROM pg_catalog.pg_database WHERE datname LIKE {like}",
        key(number)
    );
    let rows = admin.try_run(&sql).await?;
    let spares: Option<usize> = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
    // First the drop: where it fails, there is no room for more. The rest has one transaction, for it may have one.
    let mut batch = vec![format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_ident(&leased.name))];
    if spares.is_some_and(|spares| spares < most_spares()) {
        let (template, spare) = (template_name(fingerprint), spare_name(fingerprint, number));
        batch.push(template::create_clone_sql(admin, &template, &spare));
        batch.push(template::copy_settings_sql(&template, &spare));
    }
    Ok(admin.send_batch(&batch).await?)
}

/// Waits for the end of it, and releases the locks.
pub(super) async fn thrown_away(admin: &mut Admin) -> Result<(), QueryError> {
    match admin.finish().await {
        Err(QueryError::Io(error)) => return Err(error.into()),
        Err(QueryError::Db(error)) => {
            crate::progress(&format!("warning: cannot drop the database of a test, or clone the next: {error}"));
        }
        Ok(()) => {}
    }
    unlock(admin).await
}

/// Releases the locks.
pub(super) async fn unlock(admin: &mut Admin) -> Result<(), QueryError> {
    admin.try_run("SELECT pg_catalog.pg_advisory_unlock_all()").await.map(drop)
}

/// Gives the database a name under which it stays for a day, with what the test has committed.
pub(super) async fn keep(admin: &mut Admin, leased: &Leased) -> Kept {
    let family = format!("{PREFIX}{}", leased.schema.fingerprint);
    stop(admin, leased).await;
    let kept = async {
        mark_kept(admin, &leased.name).await?;
        let name = kept_name(&family, admin.now().await?);
        rename(admin, &leased.name, &name).await?;
        admin.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", quote_ident(&name))).await?;
        Ok::<_, ServerError>(name)
    };
    kept.await.map_or_else(|error| Kept::Not(error.to_string()), Kept::As)
}

/// As many spares as tests may begin at once.
fn most_spares() -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let slot = Config::get().map_or(0, |config| config.slot_hint as usize);
    cpus.max(slot + 1)
}

/// The key of a database's lock.
pub(super) fn key(number: u64) -> i64 {
    number.cast_signed()
}

/// A number that nothing else has.
pub(super) fn random() -> u64 {
    // The standard library seeds each hasher's keys from the system's randomness.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The first column of the first row.
async fn run(admin: &mut Admin, sql: &str) -> crate::Result<Option<String>> {
    Ok(run_all(admin, sql).await?.into_iter().flatten().flatten().next())
}

async fn run_all(admin: &mut Admin, sql: &str) -> crate::Result<Rows> {
    match admin.run(sql).await {
        Ok(rows) => Ok(rows),
        Err(ServerError::Admin { source: QueryError::Io(_), .. }) => Err(LeaseError::Gone.into()),
        Err(error) => Err(error.into()),
    }
}

//! What a keeper says to the server, in the order of a test's life.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::claim::{self, Claim};
use super::{clients, restore};
use crate::config::Config;
use crate::engine::kept::Kept;
use crate::pg::server::{Address, Admin, QueryError, Rows, ServerError, quote_ident, quote_literal};
use crate::pg::slot::{LeaseError, mark_kept, rename};
use crate::pg::template::{
    self, PREFIX, claimed_name, has_template_sql, is_owner_sql, kept_name, spare_name, template_name, used_name,
};
use crate::schema::Schema;
use crate::spec::Level;
use crate::sys::random;

/// How long a server may take to let clients in.
const STARTING: Duration = Duration::from_secs(30);

/// The first half of the keys of the numbers of tests.
const NUMBERS: i32 = 0x7074_6e6f;

/// Numbers beyond this one mean that something else is wrong.
const MOST_NUMBERS: u32 = 1000;

/// As many databases of killed tests as may stay until the reaper comes, for each template.
const MOST_LEFT: usize = 4;

/// A database, locked, of one test.
pub(super) struct Leased {
    pub(super) name: String,
    pub(super) schema: Schema,
    /// When the database's counters were reset last, as the server says it.
    pub(super) counted_since: Option<String>,
    /// What locks it; `None`: a lock of the server's, with its number.
    pub(super) claim: Option<Claim>,
    /// Whether killed tests have left more than [`MOST_LEFT`].
    pub(super) piled_up: bool,
}

impl Leased {
    /// Gives up the claim, if it is by claim, on a database that is gone or soon will be.
    fn disclaim(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.remove();
        }
    }
}

/// Connects to the server, which may be starting up.
pub(super) async fn open(server: &Address) -> crate::Result<Admin> {
    let started = Instant::now();
    loop {
        match Admin::open(server).await {
            Err(e) if e.is_worth_waiting() && started.elapsed() < STARTING => {
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

/// Whether the server still answers: an error, if not.
pub(super) async fn ask_for_life(admin: &mut Admin) -> crate::Result<()> {
    run(admin, "SELECT 1").await.map(drop)
}

/// Claims a spare, for which no server is asked; without one, a clone that [`make`] has yet to make.
pub(super) fn claim(claims: &Path, schema: Schema) -> crate::Result<(Leased, bool)> {
    let failed = |source| LeaseError::Claim { folder: claims.to_owned(), source };
    let (spare, left) = Claim::take(claims, &schema.fingerprint).map_err(failed)?;
    let is_made = spare.is_some();
    let claim = match spare {
        Some(spare) => spare,
        None => Claim::new(claims, &schema.fingerprint, random()).map_err(failed)?,
    };
    let leased = Leased {
        name: claimed_name(&schema.fingerprint, claim.number()),
        schema,
        counted_since: claim.counted_since().map(str::to_owned),
        claim: Some(claim),
        piled_up: left > MOST_LEFT,
    };
    Ok((leased, is_made))
}

/// Makes the clone that is leased.
pub(super) async fn make(admin: &mut Admin, leased: &mut Leased) -> crate::Result<()> {
    let made = async {
        template::ensure(admin, &leased.schema).await?;
        template::clone_into(admin, &leased.schema, &leased.name).await
    };
    let made = made.await;
    if made.is_err() {
        leased.disclaim();
    }
    Ok(made?)
}

/// Makes a spare the test's, by a lock of the server's; without a spare, clones the template.
pub(super) async fn take(admin: &mut Admin, schema: Schema) -> crate::Result<Leased> {
    let piled_up = loop {
        let (spare, piled_up) = lock_spare(admin, &schema.fingerprint).await?;
        let Some((number, counted_since)) = spare else { break piled_up };
        let (spare, name) = (spare_name(&schema.fingerprint, number), used_name(&schema.fingerprint, number));
        let rename = format!("ALTER DATABASE {} RENAME TO {}", quote_ident(&spare), quote_ident(&name));
        match admin.try_run(&rename).await {
            Ok(_) => return Ok(Leased { name, schema, counted_since, claim: None, piled_up }),
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
    let mut leased = Leased { name, schema, counted_since: None, claim: None, piled_up };
    make(admin, &mut leased).await?;
    Ok(leased)
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
    let user = &admin.address().user;
    let (is_ours, has_template) = (is_owner_sql("d", user), has_template_sql(fingerprint, user));
    // A lock of the transaction is gone with it: the reaper must not find it.
    let sql = format!(
        "SELECT s.number, {}, u.piled_up FROM (SELECT EXISTS (SELECT FROM (SELECT right(datname, 16) AS number \
           FROM pg_catalog.pg_database d WHERE datname ~ {used} AND {is_ours} OFFSET 0) AS used \
         WHERE pg_catalog.pg_try_advisory_xact_lock(('x' || number)::bit(64)::bigint) OFFSET {MOST_LEFT}) AS piled_up) AS u \
         LEFT JOIN LATERAL (SELECT number, oid FROM (SELECT right(datname, 16) AS number, oid \
           FROM pg_catalog.pg_database d WHERE datallowconn AND datname ~ {spare} AND {is_ours} AND {has_template} OFFSET 0) AS spares \
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

/// Sends what follows a test: its database is dropped, and cloned anew where there are too few spares.
pub(super) async fn throw_away(admin: &mut Admin, leased: &mut Leased) -> Result<(), QueryError> {
    let fingerprint = &leased.schema.fingerprint;
    let number = random();
    let like = quote_literal(&format!("ptest\\_{fingerprint}\\_spare\\_%"));
    let sql = format!(
        "SELECT count(*), pg_catalog.pg_try_advisory_lock({}), {} FROM pg_catalog.pg_database d WHERE datname LIKE {like} AND {}",
        key(number),
        has_template_sql(fingerprint, &admin.address().user),
        is_owner_sql("d", &admin.address().user)
    );
    let rows = admin.try_run(&sql).await?;
    let mut spares: Option<usize> = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
    let template = template_name(fingerprint);
    let mut spare = spare_name(fingerprint, number);
    let mut claim = None;
    if let Some(its) = &leased.claim {
        spares = claim::spares(its.folder(), fingerprint).ok();
        spare = claimed_name(fingerprint, number);
        claim = Some(claim_sql(its.folder(), fingerprint, number)?);
    }
    let has_template = rows.first().and_then(|row| row.get(2)?.as_deref()) == Some("t");
    // First the drop: where it fails, there is no room for more. The rest has one transaction, for it may have one.
    let mut batch = vec![format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_ident(&leased.name))];
    if has_template && spares.is_some_and(|spares| spares < most_spares()) {
        batch.push(template::create_clone_sql(admin, &template, &spare));
        batch.push(template::copy_settings_sql(&template, &spare));
        batch.extend(claim);
    }
    admin.send_batch(&batch).await?;
    leased.disclaim();
    Ok(())
}

/// The statement by which the server claims what it has made: its client may be gone by then.
fn claim_sql(claims: &Path, fingerprint: &str, number: u64) -> io::Result<String> {
    // The server cannot follow a link from where only we can look.
    let (text, path) = Claim::of_spare(&claims.canonicalize()?, fingerprint, number);
    Ok(format!(
        "COPY (SELECT {}) TO {}",
        quote_literal(text.trim_end_matches('\n')),
        quote_literal(&path.to_string_lossy())
    ))
}

/// Waits for the end of it, and releases the locks.
pub(super) async fn thrown_away(admin: &mut Admin) -> Result<(), QueryError> {
    match admin.finish().await {
        Err(QueryError::Io(error)) => return Err(error.into()),
        Err(QueryError::Db(error)) => {
            crate::sys::progress(&format!("warning: cannot drop the database of a test, or clone the next: {error}"));
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
pub(super) async fn keep(admin: &mut Admin, leased: &mut Leased) -> Kept {
    let family = format!("{PREFIX}{}", leased.schema.fingerprint);
    clients::stop(admin, leased).await;
    let kept = async {
        mark_kept(admin, &leased.name).await?;
        let name = kept_name(&family, admin.now().await?);
        rename(admin, &leased.name, &name).await?;
        admin.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", quote_ident(&name))).await?;
        leased.disclaim();
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

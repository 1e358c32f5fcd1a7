//! Detaching: a database that can no longer be trusted is taken out of the slots.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::pg::server::{Address, Admin, ServerError, quote_ident, quote_literal};
use crate::pg::template::{self, family_of};

/// How long the backend may take to leave the database.
const LEAVE: Duration = Duration::from_secs(5);

/// Closes a slot's database to new connections, so that no test leases it while its backend still is in it. Who finds it
/// closed takes it for a clone that is not complete; so nobody may complete it meanwhile.
pub(super) async fn close(server: &Address, database: &str) -> Result<Admin, ServerError> {
    let mut admin = Admin::open(server).await?;
    admin.run(&template::lock_clone_sql(database)).await?;
    admin.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", quote_ident(database))).await?;
    Ok(admin)
}

/// A name under which the reaper drops a slot.
pub(super) fn detached_name(database: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    format!("{}_detached_{now:x}", family_of(database))
}

/// Takes the slot's name from a closed database, once its backend has left it. Whoever else is in it has no business
/// there, and is disconnected.
pub(crate) async fn rename(admin: &mut Admin, database: &str, name: &str) -> Result<(), ServerError> {
    let sql = format!("ALTER DATABASE {} RENAME TO {}", quote_ident(database), quote_ident(name));
    let end = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_get_activity(NULL) \
         WHERE datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {})",
        quote_literal(database)
    );
    let started = Instant::now();
    loop {
        // The server itself would wait in steps of 100 ms. It may refuse to end what another user runs.
        while !admin.try_run(&end).await.unwrap_or_default().is_empty() && started.elapsed() < LEAVE {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        match admin.run(&sql).await {
            // Still in use (PostgreSQL manual, appendix A: 55006).
            Err(error) if error.state() == Some("55006") && started.elapsed() < LEAVE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other.map(drop),
        }
    }
}

/// Drops a detached database. Nobody waits for it: the server does it also when this process ends.
pub(super) async fn drop_on_its_own(mut admin: Admin, name: &str) -> Result<(), ServerError> {
    admin.outlive_client().await?;
    let _ = admin.send_batch(&[format!("DROP DATABASE IF EXISTS {}", quote_ident(name))]).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::acquire::{self, Attempt};
    use super::super::backing::Clone;
    use super::super::held::Loss;
    use super::super::keeper::Keeper;
    use super::super::registry::Reserved;
    use crate::config::Config;
    use crate::pg::server;
    use crate::schema::Schema;
    use crate::spec::{Migrations, TestSpec};

    #[tokio::test(flavor = "current_thread")]
    async fn an_escaped_slot_is_never_leased_again() {
        static TEST: TestSpec = TestSpec::new("ptest::detach", env!("CARGO_MANIFEST_DIR")).migrations(Migrations::None);
        let config = Config::get().unwrap();
        let schema = Schema::of(&TEST.schema, &config.target_dir).unwrap();
        let (found, _) = server::find(config, &config.server).unwrap();
        let server = match server::Admin::open(&found).await {
            Ok(_) => found,
            Err(_) => server::revive(config, &config.server).unwrap().unwrap(),
        };
        let slot = 800;
        let reserved = Reserved::take(&(server.clone(), schema.fingerprint.clone()), slot).unwrap();
        let notes = config.target_dir.join("held");
        let Attempt::Leased(acquired) = acquire::try_slot(&server, &schema, slot, true, &notes).await.unwrap() else {
            panic!("slot {slot} is held");
        };
        let database = acquired.database.clone();
        let mut keeper = Keeper::new(&server, acquired, Clone { reserved: Some(reserved), number: slot, make: true });

        // What no client can do through the sandbox.
        let _ = keeper.backend_for_test().query("COMMIT").await;
        let lost = keeper.lose_for_test().await;

        assert!(matches!(lost, Some(Loss::Ended)), "{lost:?}");
        drop(keeper);
        let mut admin = server::Admin::open(&server).await.unwrap();
        let names = admin.run("SELECT datname FROM pg_database WHERE datname LIKE 'ptest\\_%'").await.unwrap();
        let names: Vec<String> = names.into_iter().flatten().flatten().collect();
        assert!(!names.contains(&database), "{database} can still be leased");
        let detached = format!("{}_detached_", database.rsplit_once('_').unwrap().0);
        assert!(names.iter().any(|name| name.starts_with(&detached)), "{names:?}");
    }
}

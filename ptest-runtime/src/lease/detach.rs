//! Detaching: a database that can no longer be trusted is taken out of the slots.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::server::{Address, Admin, ServerError, quote_ident};

/// How long the backend may take to leave the database.
const LEAVE: Duration = Duration::from_secs(5);

/// Closes a slot's database to new connections, so that no test leases it while its backend still is in it.
pub(super) async fn close(server: &Address, database: &str) -> Result<Admin, ServerError> {
    let mut admin = Admin::open(server).await?;
    admin.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", quote_ident(database))).await?;
    Ok(admin)
}

/// A name under which the reaper drops a slot.
pub(super) fn detached_name(database: &str) -> String {
    let family = database.rsplit_once('_').map_or(database, |(family, _)| family);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    format!("{family}_detached_{now:x}")
}

/// Takes the slot's name from a closed database, once its backend has left it.
pub(crate) async fn rename(admin: &mut Admin, database: &str, name: &str) -> Result<(), ServerError> {
    let sql = format!("ALTER DATABASE {} RENAME TO {}", quote_ident(database), quote_ident(name));
    let started = Instant::now();
    loop {
        match admin.run(&sql).await {
            // Still in use (PostgreSQL manual, appendix A: 55006).
            Err(error) if error.state() == Some("55006") && started.elapsed() < LEAVE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::acquire::{self, Attempt};
    use super::super::keeper::Keeper;
    use super::super::registry::Reserved;
    use super::super::slot::Loss;
    use crate::config::Config;
    use crate::server;
    use crate::template::Schema;
    use crate::test::{Migrations, Test};

    #[tokio::test(flavor = "current_thread")]
    async fn an_escaped_slot_is_never_leased_again() {
        static TEST: Test = Test::new("ptest::detach", env!("CARGO_MANIFEST_DIR")).migrations(Migrations::None);
        let config = Config::get().unwrap();
        let schema = Schema::of(&TEST, &config.target_dir).unwrap();
        let found = server::find(config).unwrap();
        let server = match server::Admin::open(&found).await {
            Ok(_) => found,
            Err(_) => server::revive(config).unwrap().unwrap(),
        };
        let slot = 800;
        let reserved = Reserved::take(&(server.clone(), schema.fingerprint.clone()), slot).unwrap();
        let notes = config.target_dir.join("held");
        let Attempt::Leased(acquired) = acquire::try_slot(&server, &schema, slot, true, &notes).await.unwrap() else {
            panic!("slot {slot} is held");
        };
        let database = acquired.database.clone();
        let mut keeper = Keeper::new(&server, acquired, reserved);

        // What no client can do through the sandbox.
        let _ = keeper.backend_for_test().query("COMMIT").await;
        let lost = keeper.lose_for_test().await;

        assert!(matches!(lost, Some(Loss::Escaped)), "{lost:?}");
        drop(keeper);
        let mut admin = server::Admin::open(&server).await.unwrap();
        let names = admin.run("SELECT datname FROM pg_database WHERE datname LIKE 'ptest\\_%'").await.unwrap();
        let names: Vec<String> = names.into_iter().flatten().flatten().collect();
        assert!(!names.contains(&database), "{database} can still be leased");
        let detached = format!("{}_detached_", database.rsplit_once('_').unwrap().0);
        assert!(names.iter().any(|name| name.starts_with(&detached)), "{names:?}");
    }
}

//! The test's PostgreSQL database, of either isolation: where it comes from, and how it is given back.

use crate::audit::Finding;
use crate::config::Config;
use crate::error::Class;
use crate::pg::clone::{self, OwnDatabase};
use crate::pg::sandbox::Options;
use crate::pg::server::{self, Address};
use crate::pg::slot::{self, Loss, Opened, Prober, Slot};
use crate::schema::Schema;
use crate::spec::{Isolation, TestSpec};
use crate::test::context::Interrupt;
use crate::test::report::{self, Scene};

/// The test's PostgreSQL database.
#[derive(Debug)]
pub(crate) enum Postgres {
    /// A leased slot, and the sandbox that is open in it.
    Slot(Slot, Opened),
    /// A clone of the test's own.
    Own(OwnDatabase),
    /// A template under construction.
    Template(Address),
}

impl Postgres {
    pub(crate) async fn open(test: &'static TestSpec) -> crate::Result<Postgres> {
        let config = Config::get()?;
        let schema = Schema::known(&test.schema)?;
        let postgres = match test.isolation {
            Isolation::Transaction => {
                let lease = async |server: &Address| {
                    slot::lease(server, &schema.owned_by(&server.user), config.slot_hint).await
                };
                let slot = on_server(config, test.url(), lease).await?;
                let options = Options { level: test.level, turn_timeout: test.turn_timeout };
                let opened = slot.open(options).await?;
                Postgres::Slot(slot, opened)
            }
            Isolation::Database => {
                let lease =
                    async |server: &Address| clone::lease(server, &schema.owned_by(&server.user), test.level).await;
                Postgres::Own(on_server(config, test.url(), lease).await?)
            }
        };
        Ok(postgres)
    }

    /// Where clients of the test find its database: in the sandbox, or on the server.
    pub(crate) fn address(&self) -> Address {
        match self {
            Postgres::Slot(slot, opened) => Address {
                endpoint: server::Endpoint::Unix { folder: opened.folder.clone(), port: opened.port },
                user: slot.server().user.clone(),
                password: None,
                single: None,
                database: slot.database().to_owned(),
                origin: "the test's sandbox".to_owned(),
                home: None,
            },
            Postgres::Own(own) => own.address(),
            Postgres::Template(address) => address.clone(),
        }
    }

    pub(crate) fn server(&self) -> &Address {
        match self {
            Postgres::Slot(slot, _) => slot.server(),
            Postgres::Own(own) => own.server(),
            Postgres::Template(address) => address,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Postgres::Slot(slot, _) => slot.database(),
            Postgres::Own(own) => own.name(),
            Postgres::Template(address) => &address.database,
        }
    }

    /// A small number of the test's own.
    pub(crate) async fn number(&self) -> crate::Result<u32> {
        match self {
            Postgres::Slot(slot, _) => Ok(slot.number()),
            Postgres::Own(own) => own.number(Config::get()?.slot_hint).await,
            Postgres::Template(_) => Ok(0),
        }
    }

    pub(crate) fn prober(&self) -> Option<Prober> {
        match self {
            Postgres::Slot(slot, _) => Some(slot.prober()),
            Postgres::Own(_) | Postgres::Template(_) => None,
        }
    }

    pub(crate) fn interrupt(&self) -> Option<Interrupt> {
        match self {
            Postgres::Slot(slot, _) => Some(Interrupt::Sandbox(slot.prober())),
            Postgres::Own(own) => Some(Interrupt::Connections(own.stopper())),
            Postgres::Template(_) => None,
        }
    }

    /// Gives the database back. `scene`: what the test was at, where somebody has looked.
    pub(crate) fn close(self, test: &TestSpec, failed: bool, scene: Option<Scene>) -> (Vec<Finding>, report::Postgres) {
        match self {
            Postgres::Slot(slot, _) => {
                let mut told = report::Postgres::new(slot.server(), slot.database(), Some(slot.number()));
                let verdict = slot.close(failed);
                told.scene = scene.unwrap_or_else(|| Scene::after(verdict.record));
                told.keep(test, verdict.kept);
                match verdict.lost {
                    None if told.kept.is_none() => slot::release(slot),
                    Some(Loss::Broken(why)) => {
                        eprintln!("ptest: warning: database {} is given up: {why}", slot.database());
                    }
                    _ => {}
                }
                (verdict.findings, told)
            }
            Postgres::Own(own) => {
                let mut told = report::Postgres::new(own.server(), own.name(), None);
                let (leaks, kept) = own.close(failed);
                told.scene = scene.unwrap_or_else(|| Scene::now(false));
                told.keep(test, kept);
                let leaks = leaks.into_iter().filter(|_| !failed);
                (leaks.map(Finding::of).collect(), told)
            }
            Postgres::Template(address) => (Vec::new(), report::Postgres::new(&address, &address.database, None)),
        }
    }
}

/// Leases something on the server of this process's tests, which is started if it turns out not to run.
async fn on_server<T>(
    config: &Config,
    url: Option<&'static str>,
    lease: impl AsyncFn(&Address) -> crate::Result<T>,
) -> crate::Result<T> {
    let choice = config.server_of(url)?;
    let server = server::find(config, &choice)?;
    match lease(&server).await {
        Err(error) if error.class() == Class::NoServer => match server::revive(config, &choice)? {
            Some(server) => lease(&server).await,
            None => Err(error),
        },
        other => other,
    }
}

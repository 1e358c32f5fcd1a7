//! Slots as a source of databases: the search for one, and the sandbox in it.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::held::{Opened, Prober, Slot};
use super::{LeaseError, Loss, registry};
use crate::audit::Finding;
use crate::config::Config;
use crate::engine::Activity;
use crate::pg::report::Snapshot;
use crate::pg::sandbox::Options;
use crate::pg::server::{Address, Endpoint};
use crate::pg::source::{GivenBack, Held, Reach, Source};
use crate::schema::Schema;
use crate::spec::TestSpec;
use crate::sys::BoxFuture;
use crate::test::runtime;

/// Numbered clones, each of one test at a time.
pub(crate) struct Slots;

/// A leased slot, and the sandbox that is open in it.
#[derive(Debug)]
pub(crate) struct HeldSlot {
    slot: Slot,
    opened: Opened,
    options: Options,
}

impl Source for Slots {
    type Held = HeldSlot;

    async fn lease(server: &Address, schema: &Schema, test: &TestSpec) -> crate::Result<HeldSlot> {
        HeldSlot::open(registry::lease(server, schema, Config::get()?.slot_hint).await?, test).await
    }
}

impl HeldSlot {
    /// Opens a test's sandbox in a slot that was leased for it.
    pub(crate) async fn open(slot: Slot, test: &TestSpec) -> crate::Result<HeldSlot> {
        let options = Options { level: test.level, turn_timeout: test.turn_timeout };
        let opened = slot.open(options).await?;
        Ok(HeldSlot { slot, opened, options })
    }

    /// Closes the sandbox, and gives the slot if it is clean: the next test can have it.
    pub(crate) fn give_back(self, failed: bool) -> (GivenBack, Option<Slot>) {
        let verdict = self.slot.close(failed);
        if let Some(Loss::Broken(why)) = &verdict.lost {
            eprintln!("ptest: warning: database {} is given up: {why}", self.slot.database());
        }
        let is_clean = verdict.lost.is_none() && verdict.kept.is_none();
        let snapshot = Some(Snapshot::after(verdict.record));
        let given = GivenBack { findings: verdict.findings, snapshot, kept: verdict.kept, piled_up: None };
        (given, is_clean.then_some(self.slot))
    }
}

impl Held for HeldSlot {
    fn server(&self) -> &Address {
        self.slot.server()
    }

    fn name(&self) -> &str {
        self.slot.database()
    }

    fn address(&self) -> Address {
        Address {
            endpoint: Endpoint::Unix { folder: self.opened.folder.clone(), port: self.opened.port },
            user: self.slot.server().user.clone(),
            password: None,
            database: self.slot.database().to_owned(),
            origin: "the test's sandbox".to_owned(),
            home: None,
        }
    }

    fn number(&self) -> BoxFuture<'_, crate::Result<u32>> {
        Box::pin(async { Ok(self.slot.number()) })
    }

    fn is_made(&self) -> bool {
        true
    }

    fn slot(&self) -> Option<u32> {
        Some(self.slot.number())
    }

    fn reach(&self) -> Option<Box<dyn Reach>> {
        Some(Box::new(self.slot.prober()))
    }

    fn settle(&mut self, runtime: Option<&Runtime>) {
        let watch = Arc::clone(&self.opened.watch);
        watch.body_is_over();
        runtime::settle(runtime, || watch.is_in_turn());
    }

    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>> {
        Box::pin(async {
            let (verdict, again) = self.slot.restart(self.options).await;
            self.opened = again.ok_or(LeaseError::Gone)?;
            Ok(Some(verdict.findings))
        })
    }

    fn mark(&self) -> BoxFuture<'_, Option<u32>> {
        Box::pin(self.slot.mark())
    }

    fn return_to(&mut self, mark: u32) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let Some(again) = self.slot.return_to(mark, self.options).await else { return false };
            self.opened = again;
            true
        })
    }

    fn close(self: Box<Self>, failed: bool) -> GivenBack {
        let (given, clean) = self.give_back(failed);
        clean.into_iter().for_each(registry::release);
        given
    }
}

impl Reach for Prober {
    fn look(&self, timed_out: bool) -> Option<Snapshot> {
        Prober::look(self, timed_out)
    }

    fn interrupt(&self) {
        Prober::interrupt(self);
    }

    fn activity(&self) -> Option<Activity> {
        self.probe()
    }
}

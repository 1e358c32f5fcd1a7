//! A kind of database that is none: it notes what it is told, and fails where it is told to.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::audit::{Finding, Straggler};
use crate::engine::{Closed, Engine, Handle, Section, Shown};
use crate::spec::{Script, TestSpec};

/// What was said to the databases of one test, in order.
#[derive(Debug, Default, Clone)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    pub(super) fn has(&self, what: &str) -> bool {
        self.all().iter().any(|line| line == what)
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where a fake fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fails {
    #[default]
    Nowhere,
    Open,
    Load,
    Close,
    /// It finds something, which is an error.
    Audit,
}

thread_local! {
    static FAILS: Cell<Fails> = const { Cell::new(Fails::Nowhere) };
    static LOG: Log = Log::default();
}

/// The log of the tests of this thread, whose databases fail so from now on.
pub(super) fn fakes(fails: Fails) -> Log {
    FAILS.set(fails);
    LOG.with(Log::clone)
}

/// A database; there are several kinds, told apart by a letter.
#[derive(Debug)]
pub(super) struct Fake<const KIND: char> {
    name: String,
    log: Log,
    fails: Fails,
}

impl<const KIND: char> Fake<KIND> {
    fn note(&self, what: &str) {
        self.log.note(format!("{}: {what}", self.name));
    }

    pub(super) fn use_it(&self) {
        self.note("used");
    }
}

impl<const KIND: char> Engine for Fake<KIND> {
    const NAME: &'static str = if KIND == 'a' { "Fake A" } else { "Fake B" };

    async fn open(test: &'static TestSpec) -> crate::Result<Self> {
        let name = format!("{KIND}{}", if test.database.is_some() { " named" } else { "" });
        let fake = Fake { name, log: LOG.with(Log::clone), fails: FAILS.get() };
        fake.note("opened");
        if fake.fails == Fails::Open { Err(crate::Error::other("no fake is free")) } else { Ok(fake) }
    }

    async fn load(&mut self, _: &'static [Script]) -> crate::Result<()> {
        if self.fails == Fails::Load { Err(crate::Error::other("the fixture is broken")) } else { Ok(()) }
    }

    fn handle(&self) -> Option<Arc<dyn Handle>> {
        Some(Arc::new(FakeHandle(self.name.clone(), self.log.clone())))
    }

    fn settle(&mut self, _: Option<&Runtime>) {
        self.note("settled");
    }

    fn close(self, failed: bool) -> Closed {
        self.note(if failed { "closed, failed" } else { "closed, passed" });
        let (name, log) = (self.name.clone(), self.log.clone());
        let straggler = Straggler { connected: true, ..Straggler::default() };
        Closed {
            findings: (self.fails == Fails::Audit).then(|| Finding::of(straggler)).into_iter().collect(),
            failure: (self.fails == Fails::Close).then(|| crate::Error::other("the fake escaped")),
            section: Box::new(FakeSection(self.name)),
            housekeeping: Some(Box::new(move || log.note(format!("{name}: housekeeping")))),
        }
    }
}

#[derive(Debug)]
struct FakeHandle(String, Log);

impl Handle for FakeHandle {
    fn look(&self, timed_out: bool) {
        self.1.note(format!("{}: looked at{}", self.0, if timed_out { ", late" } else { "" }));
        // A server takes its time to answer.
        std::thread::sleep(Duration::from_millis(20));
    }

    fn interrupt(&self) {
        self.1.note(format!("{}: interrupted", self.0));
    }
}

#[derive(Debug)]
struct FakeSection(String);

impl Section for FakeSection {
    fn write(&self, f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
        if shown.failed { writeln!(f, "`{}` had {}", shown.test, self.0) } else { Ok(()) }
    }
}

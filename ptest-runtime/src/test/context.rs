//! The context that a test's parameters are made from.

mod in_place;

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::audit;
use crate::config::Config;
use crate::engine::{self, AnyEngine, Engine, Handle};
use crate::error::Failure;
use crate::spec::{Database, Isolation, TestSpec};
use crate::test::deadline::Deadline;
use crate::test::report::Report;
use crate::test::runtime::ClockHold;

/// What a parameter of a test is made from: the test's name, and its databases, leased when first asked for.
#[derive(Debug)]
pub struct Context {
    test: &'static TestSpec,
    /// The test's databases, of each kind at most one.
    engines: Vec<Box<dyn AnyEngine>>,
    /// The kind of the database whose template is made, which then is the only one there is.
    draft: Option<&'static str>,
    /// The test's other databases.
    named: Vec<Context>,
    clock_hold: ClockHold,
    /// What a deadline reaches: of every database of the test.
    handles: Handles,
    begin_deadline: Option<Sender<()>>,
}

type Handles = Arc<Mutex<Vec<Arc<dyn Handle>>>>;

/// What a setup function asks for and cannot have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOfDraft {
    #[error("it asks for {asks}, but makes a template of {makes}")]
    Kind { asks: &'static str, makes: &'static str },
    #[error("it asks for another database than the one whose template it makes")]
    Named,
}

impl Failure for NotOfDraft {}

impl Context {
    pub(crate) fn new(test: &'static TestSpec) -> Self {
        Context::reached_by(test, Handles::default())
    }

    fn reached_by(test: &'static TestSpec, handles: Handles) -> Self {
        Context {
            test,
            engines: Vec::new(),
            draft: None,
            named: Vec::new(),
            clock_hold: ClockHold::default(),
            handles,
            begin_deadline: None,
        }
    }

    /// What a template under construction is set up with.
    pub(crate) fn of_draft<E: Engine>(engine: E) -> Self {
        Context { engines: vec![Box::new(engine)], draft: Some(E::NAME), ..Context::new(&DRAFT) }
    }

    /// The test's name as the runner prints it: `module::path::function`, without the crate's name.
    pub fn test_name(&self) -> &'static str {
        self.test.short_name()
    }

    pub(crate) fn test(&self) -> &'static TestSpec {
        self.test
    }

    pub(crate) fn clock_hold(&self) -> &ClockHold {
        &self.clock_hold
    }

    /// A deadline that begins with the body, and ends the test's sessions when the time is up.
    pub(crate) fn deadline(&mut self, limit: Duration) -> std::io::Result<Deadline> {
        let (seen, reached) = (Arc::clone(&self.handles), Arc::clone(&self.handles));
        let look = move || locked(&seen).iter().for_each(|handle| handle.look(true));
        let deadline =
            Deadline::new(limit, look, move || locked(&reached).iter().for_each(|handle| handle.interrupt()))?;
        self.begin_deadline = Some(deadline.begin());
        Ok(deadline)
    }

    /// Another database of the test, for an implementation of [`FromContext`](crate::FromContext) that has several.
    ///
    /// A test that names a database twice has it once. All are given back, rolled back, when the test ends.
    pub fn of(&mut self, database: &'static Database) -> &mut Context {
        let is_it = |context: &Context| context.test.database.is_some_and(|named| std::ptr::eq(named, database));
        let at = self.named.iter().position(is_it).unwrap_or_else(|| {
            // As long as the process, like the test's own.
            let test = Box::leak(Box::new(self.test.of(database)));
            let context = Context { draft: self.draft, ..Context::reached_by(test, Arc::clone(&self.handles)) };
            self.named.push(context);
            self.named.len() - 1
        });
        &mut self.named[at]
    }

    /// The test's database of this kind: leased, open, its fixtures loaded.
    pub(crate) async fn get<E: Engine>(&mut self) -> crate::Result<&mut E> {
        if !self.engines.iter_mut().any(|engine| engine.downcast_mut::<E>().is_some()) {
            self.open::<E>().await?;
        }
        let found = self.engines.iter_mut().find_map(|engine| engine.downcast_mut());
        Ok(found.expect("it has just been opened"))
    }

    async fn open<E: Engine>(&mut self) -> crate::Result<()> {
        match self.draft {
            Some(_) if self.test.database.is_some() => return Err(NotOfDraft::Named.into()),
            Some(makes) => return Err(NotOfDraft::Kind { asks: E::NAME, makes }.into()),
            None => {}
        }
        let engine = E::open(self.test).await?;
        locked(&self.handles).extend(engine.handle());
        self.engines.push(Box::new(engine));
        let fixtures = self.test.fixtures;
        let opened = self.engines.last_mut().and_then(|engine| engine.downcast_mut::<E>());
        opened.expect("it has just been opened").load(fixtures).await
    }

    /// The body has returned: what is left to say of it, such as the rollback of a transaction that it dropped, is said now.
    /// `runtime`: who drives it meanwhile; `None`: somebody else does.
    pub(crate) fn settle(&mut self, runtime: Option<&Runtime>) {
        self.engines.iter_mut().for_each(|engine| engine.settle(runtime));
        self.named.iter_mut().for_each(|named| named.settle(runtime));
    }

    /// Notes what the test's databases are at, unless the deadline has.
    pub(crate) fn look(&self) {
        locked(&self.handles).iter().for_each(|handle| handle.look(false));
    }

    /// Gives every database back; the body's runtime is gone. `message` is that of a body that panicked.
    pub(crate) fn close(self, failed: bool, message: Option<&str>) -> Closed {
        let mut report = Report::new(self.test);
        let mut housekeeping = Vec::new();
        let (mut findings, mut failure) = (Vec::new(), Ok(()));
        for engine in self.engines {
            if let Some(hint) = message.and_then(|message| engine.hint(message)) {
                eprintln!("ptest: hint: {hint}");
            }
            let closed: engine::Closed = engine.close(failed);
            findings.extend(closed.findings);
            failure = failure.and(closed.failure.map_or(Ok(()), Err));
            report.sections.push(closed.section);
            housekeeping.extend(closed.housekeeping);
        }
        let judged = Config::get()
            .map(|config| audit::judge(findings, &self.test.audit, &config.audit.or(&self.test.audit_of_crate)));
        let mut result = judged.and_then(|judged| Ok(judged?)).and(failure);
        for named in self.named {
            let closed = named.close(failed, message);
            result = result.and(closed.result);
            report.named.push(closed.report);
            housekeeping.extend(closed.housekeeping);
        }
        Closed { result, report, housekeeping }
    }
}

/// What came of giving the databases back.
pub(crate) struct Closed {
    /// An error: the body has ended ptest's transaction, and what it did was not isolated.
    pub(crate) result: crate::Result<()>,
    /// What there is to say of the test.
    pub(crate) report: Report,
    /// What is to be done now and then.
    pub(crate) housekeeping: Vec<Box<dyn FnOnce()>>,
}

fn locked<T>(handles: &Mutex<T>) -> MutexGuard<'_, T> {
    handles.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands in for a test while a template is made.
pub(crate) static DRAFT: TestSpec =
    TestSpec::new("ptest::template", env!("CARGO_MANIFEST_DIR")).isolation(Isolation::Database);

/// Called by the generated code between a test's parameters and its body.
#[doc(hidden)]
pub fn start_body(cx: &mut Context) {
    if let Some(begin) = cx.begin_deadline.take() {
        let _ = begin.send(());
    }
    if let Some(pause) = cx.test.start_paused {
        cx.clock_hold.pause(pause, locked(&cx.handles).clone());
    }
}

//! The context that a test's parameters are made from.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::audit::{self, Finding, Straggler};
use crate::config::Config;
use crate::pg::clone::Stopper;
use crate::pg::postgres::Postgres;
use crate::pg::server::Address;
use crate::pg::slot::{LeaseError, Prober};
use crate::spec::{Database, Isolation, TestSpec};
#[cfg(feature = "sqlx-sqlite")]
use crate::sqlite::drivers::SqliteTest;
use crate::test::deadline::Deadline;
use crate::test::kept;
use crate::test::report::{Report, Scene};
use crate::test::runtime::ClockHold;
#[cfg(feature = "sqlx-sqlite")]
use crate::{schema::Schema, test::report};

/// What a parameter of a test is made from: the test's name, and its databases, leased when first asked for.
#[derive(Debug)]
pub struct Context {
    test: &'static TestSpec,
    postgres: Option<Postgres>,
    #[cfg(feature = "sqlx-sqlite")]
    sqlite: Option<SqliteTest>,
    clock_hold: ClockHold,
    /// What it is for; a template has the one database that is given.
    purpose: Purpose,
    /// The test's other databases.
    named: Vec<Context>,
    /// What a deadline interrupts, once there is something.
    interrupt: Arc<OnceLock<Interrupt>>,
    /// What the test was at when it failed.
    scene: Arc<OnceLock<Scene>>,
    /// Both, of every database of the test.
    reach: Reach,
    begin_deadline: Option<Sender<()>>,
    /// The transactions that were open in a database of the test's own when its body had returned.
    open: Vec<Straggler>,
}

/// What a context is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Test,
    PostgresTemplate,
    #[cfg(feature = "sqlx-sqlite")]
    SqliteTemplate,
}

/// The setup function asks for the other database.
#[derive(Debug, thiserror::Error)]
#[error("it asks for {asks}, but makes a template of {makes}")]
pub(crate) struct OtherDatabase {
    pub(crate) asks: &'static str,
    pub(crate) makes: &'static str,
}

/// How a deadline reaches the databases that there are when it passes.
type Reach = Arc<Mutex<Vec<(Arc<OnceLock<Interrupt>>, Arc<OnceLock<Scene>>)>>>;

#[derive(Debug)]
pub(crate) enum Interrupt {
    Sandbox(Prober),
    Connections(Stopper),
}

impl Context {
    pub(crate) fn new(test: &'static TestSpec) -> Self {
        Context::reached_by(test, Reach::default())
    }

    fn reached_by(test: &'static TestSpec, reach: Reach) -> Self {
        let (interrupt, scene) = <(Arc<OnceLock<Interrupt>>, Arc<OnceLock<Scene>>)>::default();
        locked(&reach).push((Arc::clone(&interrupt), Arc::clone(&scene)));
        Context {
            test,
            postgres: None,
            #[cfg(feature = "sqlx-sqlite")]
            sqlite: None,
            clock_hold: ClockHold::default(),
            purpose: Purpose::Test,
            named: Vec::new(),
            interrupt,
            scene,
            reach,
            begin_deadline: None,
            open: Vec::new(),
        }
    }

    /// What a template under construction is set up with.
    pub(crate) fn of_postgres_template(address: Address) -> Self {
        let postgres = Some(Postgres::Template(address));
        Context { postgres, purpose: Purpose::PostgresTemplate, ..Context::new(&TEMPLATE) }
    }

    /// The same on SQLite.
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) fn of_sqlite_template(path: std::path::PathBuf) -> Self {
        let sqlite = Some(SqliteTest::of_template(&TEMPLATE, path));
        Context { sqlite, purpose: Purpose::SqliteTemplate, ..Context::new(&TEMPLATE) }
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
        let (seen, reach) = (Arc::clone(&self.reach), Arc::clone(&self.reach));
        let look = move || {
            for (interrupt, scene) in &*locked(&seen) {
                if let Some(seen) = interrupt.get().and_then(|reach| reach.look(true)) {
                    let _ = scene.set(seen);
                }
            }
        };
        let deadline = Deadline::new(limit, look, move || {
            for (interrupt, _) in &*locked(&reach) {
                match interrupt.get() {
                    Some(Interrupt::Sandbox(sandbox)) => sandbox.interrupt(),
                    Some(Interrupt::Connections(connections)) => connections.stop(),
                    None => {}
                }
            }
        })?;
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
            let context = Context { purpose: self.purpose, ..Context::reached_by(test, Arc::clone(&self.reach)) };
            self.named.push(context);
            self.named.len() - 1
        });
        &mut self.named[at]
    }

    /// The test's PostgreSQL database: leased, open, its fixtures loaded.
    pub(crate) async fn postgres(&mut self) -> crate::Result<&Postgres> {
        if self.postgres.is_none() {
            if self.purpose != Purpose::Test {
                return Err(crate::Error::other(OtherDatabase { asks: "PostgreSQL", makes: "SQLite" }));
            }
            let postgres = self.postgres.insert(Postgres::open(self.test).await?);
            if let Some(interrupt) = postgres.interrupt() {
                let _ = self.interrupt.set(interrupt);
            }
            let server = Some(postgres.server()).filter(|server| server.single.is_none());
            kept::sweep(&Config::get()?.target_dir, server);
            // Where one fails, the slot is closed with the test, and as clean as ever.
            for fixture in self.test.fixtures {
                crate::pg::drivers::fixture::load(postgres, fixture).await?;
            }
        }
        self.postgres.as_ref().ok_or_else(|| LeaseError::Gone.into())
    }

    /// The test's SQLite database, leased when first asked for.
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) async fn sqlite(&mut self) -> crate::Result<&mut SqliteTest> {
        if self.sqlite.is_none() {
            if self.purpose != Purpose::Test {
                return Err(crate::Error::other(OtherDatabase { asks: "SQLite", makes: "PostgreSQL" }));
            }
            let config = Config::get()?;
            let schema = Schema::known(&self.test.schema)?;
            let sqlite = SqliteTest::open(self.test, &schema, &config.target_dir, config.slot_hint).await?;
            self.sqlite = Some(sqlite.keeping(config.keep, kept::folder(&config.target_dir)));
            kept::sweep(&config.target_dir, None);
        }
        self.sqlite.as_mut().ok_or_else(|| LeaseError::Gone.into())
    }

    /// The body has returned: what is left to say of it, such as the rollback of a transaction that it dropped, is said now.
    pub(crate) fn settle(&mut self, runtime: &Runtime) {
        match &self.postgres {
            Some(Postgres::Slot(_, opened)) => {
                opened.watch.body_is_over();
                crate::test::runtime::settle(runtime, || opened.watch.is_in_turn());
            }
            Some(Postgres::Own(own)) => {
                crate::test::runtime::settle(runtime, || {
                    self.open = own.open_transactions();
                    !self.open.is_empty()
                });
            }
            Some(Postgres::Template(_)) | None => {}
        }
        self.named.iter_mut().for_each(|named| named.settle(runtime));
    }

    /// Notes what the test's sessions are at, unless the deadline has.
    pub(crate) fn look(&self) {
        if self.scene.get().is_none()
            && let Some(seen) = self.interrupt.get().and_then(|reach| reach.look(false))
        {
            let _ = self.scene.set(seen);
        }
        self.named.iter().for_each(Context::look);
    }

    /// Gives every database back; the body's runtime is gone. `message` is that of a body that panicked.
    #[cfg_attr(
        not(feature = "sqlx-sqlite"),
        expect(clippy::only_used_in_recursion, reason = "only SQLite's own errors are looked for in it")
    )]
    pub(crate) fn close(self, failed: bool, message: Option<&str>) -> Closed {
        let scene = self.scene.get().cloned();
        let mut report = Report::new(self.test);
        let mut findings = Vec::new();
        if let Some(postgres) = self.postgres {
            let (found, told) = postgres.close(self.test, failed, scene);
            findings.extend(self.open.into_iter().map(Finding::of).chain(found));
            report.postgres = Some(told);
        }
        let mut result = Ok(());
        #[cfg(feature = "sqlx-sqlite")]
        if let Some(sqlite) = self.sqlite {
            report.sqlite = Some(report::Sqlite { path: sqlite.path(), kept: sqlite.keep_if_wanted(failed) });
            let closed = sqlite.close(message).map(|found| findings.extend(found.filter(|_| !failed)));
            result = closed.map_err(Into::into);
        }
        let judged = Config::get().map(|config| audit::judge(findings, &self.test.audit, &config.audit));
        result = judged.and_then(|judged| Ok(judged?)).and(result);
        for named in self.named {
            let closed = named.close(failed, message);
            result = result.and(closed.result);
            report.named.push(closed.report);
        }
        Closed { result, report }
    }
}

/// What came of giving the databases back.
pub(crate) struct Closed {
    /// An error: the body has ended ptest's transaction, and what it did was not isolated.
    pub(crate) result: crate::Result<()>,
    /// What there is to say of the test.
    pub(crate) report: Report,
}

impl Interrupt {
    /// What the test is at.
    fn look(&self, timed_out: bool) -> Option<Scene> {
        match self {
            Interrupt::Sandbox(sandbox) => sandbox.look(timed_out),
            Interrupt::Connections(connections) => connections.look(timed_out),
        }
    }
}

fn locked<T>(reach: &Mutex<T>) -> MutexGuard<'_, T> {
    reach.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands in for a test while a template is made.
static TEMPLATE: TestSpec = TestSpec::new("ptest::template", env!("CARGO_MANIFEST_DIR")).isolation(Isolation::Database);

/// Called by the generated code between a test's parameters and its body.
#[doc(hidden)]
pub fn start_body(cx: &mut Context) {
    if let Some(begin) = cx.begin_deadline.take() {
        let _ = begin.send(());
    }
    if let Some(pause) = cx.test.start_paused {
        let contexts = || std::iter::once(&*cx).chain(&cx.named);
        #[cfg(feature = "sqlx-sqlite")]
        if contexts().any(|cx| cx.sqlite.is_some()) {
            cx.clock_hold.sqlite.start();
        }
        cx.clock_hold.pause(pause, contexts().filter_map(|cx| cx.postgres.as_ref()?.prober()).collect());
    }
}

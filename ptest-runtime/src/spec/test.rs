//! The test as the macro describes it: constant data, written by the attribute, read by everything else.

use std::time::Duration;

use tokio::runtime::Builder;

use crate::audit::Severities;
use crate::spec::{Database, Migrations, SchemaSpec, Script, Setup};

/// One `#[ptest::db_test]` function, as its attribute describes it. Built in a `static` by the generated code.
#[derive(Debug)]
pub struct TestSpec {
    /// `module::path::function`, as the test runner prints it.
    pub name: &'static str,
    /// What its database is made from.
    pub schema: SchemaSpec,
    /// Which of the databases of a test this describes; `None`: its own.
    pub(crate) database: Option<&'static Database>,
    /// SQL scripts to run before the body, in order.
    pub fixtures: &'static [Script],
    /// Which of the arguments with a default the attribute has.
    pub(crate) said: Said,
    /// What keeps the test apart from the others.
    pub isolation: Isolation,
    /// The isolation level of ptest's transaction, and the default of the test's own.
    pub level: Level,
    /// How long a session waits for its turn while the one that has it does nothing.
    pub turn_timeout: Duration,
    /// What becomes of what the audit finds.
    pub audit: Severities,
    /// The same, where neither the test nor the run says it.
    pub(crate) audit_of_crate: Severities,
    /// Wall time that the body may take.
    pub timeout: Option<Duration>,
    /// The body's tokio runtime.
    pub flavor: Flavor,
    /// Pauses the body's clock before it begins.
    pub start_paused: Option<fn()>,
    /// What the function's `#[should_panic]` expects the panic to say, if it has one: then a failure of the harness must not
    /// be a panic.
    pub should_panic: Option<&'static str>,
}

/// Which arguments were given: what was not, the package may say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) isolation: bool,
    pub(crate) turn_timeout: bool,
}

/// What keeps a test apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// `isolation = "transaction"`, the default: one transaction that is rolled back.
    Transaction,
    /// `isolation = "database"`: a database of its own, with real transactions.
    Database,
}

/// An isolation level of the argument `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `level = "read committed"`, the default.
    ReadCommitted,
    /// `level = "repeatable read"`.
    RepeatableRead,
    /// `level = "serializable"`.
    Serializable,
}

impl Level {
    /// Its name in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Level::ReadCommitted => "read committed",
            Level::RepeatableRead => "repeatable read",
            Level::Serializable => "serializable",
        }
    }
}

/// The flavor of the body's tokio runtime, as in `#[tokio::test]`.
#[derive(Debug, Clone, Copy)]
pub enum Flavor {
    /// `flavor = "current_thread"`, the default.
    CurrentThread,
    /// `flavor = "multi_thread"`: its builder, and `worker_threads` where given.
    MultiThread(fn() -> Builder, Option<usize>),
}

impl TestSpec {
    /// A test with every argument at its default.
    pub const fn new(name: &'static str, manifest_dir: &'static str) -> Self {
        TestSpec {
            name,
            schema: SchemaSpec::new(manifest_dir),
            database: None,
            fixtures: &[],
            said: Said { isolation: false, turn_timeout: false },
            isolation: Isolation::Transaction,
            level: Level::ReadCommitted,
            turn_timeout: Duration::from_secs(2),
            audit: Severities::new(),
            audit_of_crate: Severities::new(),
            timeout: None,
            flavor: Flavor::CurrentThread,
            start_paused: None,
            should_panic: None,
        }
    }

    /// The same test, of another of its databases.
    pub(crate) fn of(&self, database: &'static Database) -> TestSpec {
        TestSpec { database: Some(database), schema: database.schema, fixtures: &[], ..*self }
    }

    /// The variable that names the server, before `DATABASE_URL` does.
    pub(crate) fn url(&self) -> Option<&'static str> {
        self.database?.url
    }

    /// The name as the runner prints it: without the crate's.
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.split_once("::").map_or(self.name, |(_, rest)| rest)
    }

    /// Sets where the schema comes from.
    pub const fn migrations(mut self, migrations: Migrations) -> Self {
        self.schema = self.schema.migrations(migrations);
        self
    }

    /// Sets the scripts that are part of the template.
    pub const fn seed(mut self, seed: &'static [Script]) -> Self {
        self.schema = self.schema.seed(seed);
        self
    }

    /// Sets the function that completes the template.
    pub const fn setup(mut self, setup: &'static Setup) -> Self {
        self.schema = self.schema.setup(setup);
        self
    }

    /// Sets the scripts to run before the body.
    pub const fn fixtures(mut self, fixtures: &'static [Script]) -> Self {
        self.fixtures = fixtures;
        self
    }

    /// Sets what keeps the test apart from the others.
    pub const fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self.said.isolation = true;
        self
    }

    /// Sets the isolation level of ptest's transaction.
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Sets how long a session waits for its turn, in milliseconds.
    pub const fn turn_timeout_ms(mut self, millis: u64) -> Self {
        self.turn_timeout = Duration::from_millis(millis);
        self.said.turn_timeout = true;
        self
    }

    /// Sets what becomes of what the audit finds.
    pub const fn audit(mut self, severities: Severities) -> Self {
        self.audit = severities;
        self
    }

    /// Sets the wall time that the body may take, in milliseconds.
    pub const fn timeout_ms(mut self, millis: u64) -> Self {
        self.timeout = Some(Duration::from_millis(millis));
        self
    }

    /// Sets the flavor of the body's runtime.
    pub const fn flavor(mut self, flavor: Flavor) -> Self {
        self.flavor = flavor;
        self
    }

    /// Starts the body with its clock paused by `pause`.
    pub const fn start_paused(mut self, pause: fn()) -> Self {
        self.start_paused = Some(pause);
        self
    }

    /// Notes that the runner expects a panic whose message contains this.
    pub const fn should_panic(mut self, expected: &'static str) -> Self {
        self.should_panic = Some(expected);
        self
    }
}

//! Real files, real connections, real processes.

mod escapes;
mod isolation;
mod parameters;
mod schemas;

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use super::SqliteTest;
use crate::schema::Schema;
use crate::spec::{Isolation, Migrations, Script, TestSpec};
use crate::sqlite::SqliteError;

const USERS: (&str, &str) = ("1_users.sql", "create table users (id integer primary key, name text unique not null)");

/// A project with migrations, and a `target/ptest` of its own.
struct Project {
    folder: Rc<tempfile::TempDir>,
    test: &'static TestSpec,
}

impl Project {
    fn new(migrations: &[(&str, &str)]) -> Project {
        let folder = tempfile::tempdir().unwrap();
        let test = test_in(folder.path(), &[]);
        let mut project = Project { folder: Rc::new(folder), test };
        migrations.iter().for_each(|(name, sql)| project.write(name, sql));
        project
    }

    /// Writes a migration. What tests see from here on is what those of another process would see.
    fn write(&mut self, name: &str, sql: &str) {
        let path = self.folder.path().join("migrations").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, sql).unwrap();
        self.test = test_in(self.folder.path(), self.test.fixtures);
    }

    fn fixtures(mut self, fixtures: &'static [Script]) -> Project {
        self.test = test_in(self.folder.path(), fixtures);
        self
    }

    /// The same project, for tests that have this argument.
    fn isolation(&self, isolation: Isolation) -> Project {
        let test = TestSpec { isolation, ..*self.test };
        Project { folder: self.folder.clone(), test: Box::leak(Box::new(test)) }
    }

    fn sqlite_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("ptest/sqlite")
    }

    /// One test: what its body returned, and what the test was told.
    fn run<T>(&self, body: impl AsyncFnOnce(&mut SqliteTest) -> T) -> (T, Result<(), SqliteError>) {
        let runtime = runtime();
        let (test, value) = runtime.block_on(async {
            let mut test = open(self.folder.path(), self.test).await.unwrap();
            let value = body(&mut test).await;
            (test, value)
        });
        drop(runtime);
        (value, test.give_back().map(drop))
    }

    /// A test that must not be told anything.
    fn pass<T>(&self, body: impl AsyncFnOnce(&mut SqliteTest) -> T) -> T {
        let (value, told) = self.run(body);
        told.unwrap();
        value
    }

    /// The error of a test that could not be opened.
    fn open_error(&self) -> crate::Error {
        runtime().block_on(open(self.folder.path(), self.test)).unwrap_err()
    }

    /// What the next test finds: nothing, whatever ran before.
    #[track_caller]
    fn assert_clean(&self) {
        for _ in 0..2 {
            let names = self.pass(async |test| names(&mut test.connection().await.unwrap()).await);
            assert_eq!(names, [] as [&str; 0]);
        }
        let names = self.pass(async |test| names(&mut test.pool().await.unwrap().acquire().await.unwrap()).await);
        assert_eq!(names, [] as [&str; 0]);
    }
}

/// A test whose migrations are in the folder.
fn test_in(folder: &Path, fixtures: &'static [Script]) -> &'static TestSpec {
    let migrations = folder.join("migrations").into_os_string().into_string().unwrap();
    // A process finds out once what the schema of a package's tests is.
    static PACKAGES: AtomicU32 = AtomicU32::new(0);
    let package = PACKAGES.fetch_add(1, Ordering::Relaxed).to_string().leak();
    let test = TestSpec::new("tests::of_a_project", package).migrations(Migrations::Dir(migrations.leak()));
    Box::leak(Box::new(test.fixtures(fixtures)))
}

/// Opens a test, with `ptest` in the folder for all that ptest keeps.
async fn open(folder: &Path, test: &'static TestSpec) -> crate::Result<SqliteTest> {
    let target_dir = folder.join("ptest");
    let schema = Schema::of(&test.schema, &target_dir)?;
    Ok(SqliteTest::lease(test, &schema, &target_dir, 0).await?)
}

/// Opens a test in a child, which runs in the project's folder.
async fn open_here() -> SqliteTest {
    let folder = std::env::current_dir().unwrap();
    open(&folder, test_in(&folder, &[])).await.unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn insert(conn: impl Executor<'_, Database = sqlx::Sqlite>, name: &str) -> sqlx::Result<()> {
    sqlx::query("insert into users (name) values (?)").bind(name).execute(conn).await.map(|_| ())
}

async fn names(conn: &mut SqliteConnection) -> Vec<String> {
    sqlx::query_scalar("select name from users order by name").fetch_all(conn).await.unwrap()
}

async fn commit_in_savepoint(conn: &mut SqliteConnection, name: &str) {
    let mut transaction = conn.begin().await.unwrap();
    insert(&mut *transaction, name).await.unwrap();
    transaction.commit().await.unwrap();
}

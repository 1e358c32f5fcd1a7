//! Real files, real connections, real processes.

mod escapes;
mod isolation;
mod parameters;
mod schemas;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use super::SqliteTest;
use crate::sqlite::SqliteError;
use crate::sqlite::schema::{self, Schema, SchemaSource};
use crate::test::{Fixture, Test};

const USERS: (&str, &str) = ("1_users.sql", "create table users (id integer primary key, name text unique not null)");

/// A project with migrations, and a `target/ptest` of its own.
struct Project {
    folder: tempfile::TempDir,
    test: &'static Test,
}

impl Project {
    fn new(migrations: &[(&str, &str)]) -> Project {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        for (name, sql) in migrations {
            std::fs::write(folder.path().join("migrations").join(name), sql).unwrap();
        }
        static TEST: Test = Test::new("tests::of_a_project", "");
        Project { folder, test: &TEST }
    }

    fn fixtures(mut self, fixtures: &'static [Fixture]) -> Project {
        self.test = Box::leak(Box::new(Test::new("tests::with_fixtures", "").fixtures(fixtures)));
        self
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
        (value, test.close(None))
    }

    /// A test that must not be told anything.
    fn pass<T>(&self, body: impl AsyncFnOnce(&mut SqliteTest) -> T) -> T {
        let (value, told) = self.run(body);
        told.unwrap();
        value
    }

    /// The error of a test that could not be opened.
    fn open_error(&self) -> SqliteError {
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

async fn open(folder: &Path, test: &'static Test) -> Result<SqliteTest, SqliteError> {
    let source = SchemaSource::Dir(folder.join("migrations"));
    let schema = Schema { fingerprint: schema::fingerprint(&source)?, source, target_dir: folder.join("ptest") };
    SqliteTest::open(test, &schema, 0).await
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

/// Runs the ignored test `name` of this module in a process of its own, in the project's folder.
fn child(name: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{}::{name}", module_path!().split_once("::").unwrap().1)])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

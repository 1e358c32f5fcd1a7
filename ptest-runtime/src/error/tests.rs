//! The texts of errors, as a failing test prints them.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Error;
use crate::pg::fixture::FixtureError;
use crate::pg::script::Refused;
use crate::pg::server::{Address, DbError, QueryError, ServerError};
use crate::pg::single::SingleError;
use crate::pg::slot::LeaseError;
use crate::pg::socket::SocketError;
use crate::pg::template::TemplateError;
use crate::schema::{MigrationsError, StepError};
use crate::sqlite::SqliteError;
use crate::test::context::NotOfDraft;
use crate::test::run::RunError;

/// All of one kind, one below the other.
fn texts<E: Into<Error>>(errors: impl IntoIterator<Item = E>) -> String {
    let texts: Vec<String> = errors.into_iter().map(|error| format!("{:?}", error.into())).collect();
    texts.join("\n\n")
}

fn address() -> Box<Address> {
    Box::new(Address::from_url("postgres://ada:hunter2@db.example:5433/app", "PTEST_DATABASE_URL").unwrap())
}

fn db_error(code: &str, message: &str) -> DbError {
    DbError { code: code.to_owned(), message: message.to_owned(), ..DbError::default() }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}

fn script(code: &str, message: &str) -> StepError {
    statement(db_error(code, message).into(), Some("what to do about it"))
}

fn statement(source: crate::error::Cause, help: Option<&str>) -> StepError {
    let text = "create tabel account (id int);".to_owned();
    StepError::Script { path: "migrations/1_users.sql".into(), line: 3, text, source, help: help.map(str::to_owned) }
}

fn name() -> String {
    "ptest_0123456789abcdef_0".to_owned()
}

fn path(path: &str) -> PathBuf {
    path.into()
}

#[test]
fn servers() {
    let admin = |source| ServerError::Admin { address: address(), statement: "CREATE DATABASE …".to_owned(), source };
    let refused = |code, message| ServerError::Refused {
        address: address(),
        database: "postgres".to_owned(),
        source: db_error(code, message),
    };
    insta::assert_snapshot!(texts([
        ServerError::Url { origin: "DATABASE_URL".to_owned(), reason: "`x` is not a port".to_owned() },
        ServerError::Tls { origin: "DATABASE_URL".to_owned() },
        ServerError::Connect { address: address(), source: broken() },
        refused("28P01", "password authentication failed for user \"ada\""),
        refused("53300", "too many clients already"),
        refused("3D000", "database \"app\" does not exist"),
        admin(QueryError::Db(db_error("42501", "permission denied to create database"))),
        admin(QueryError::Db(db_error("53100", "No space left on device"))),
        admin(QueryError::Io(broken())),
        ServerError::TooOld { address: address(), version: "12.22".to_owned() },
        ServerError::SingleOfNone,
        refused("42501", "permission denied for database \"postgres\""),
    ]));
}

#[test]
fn templates() {
    let apply =
        |source| TemplateError::Apply { verb: "build", name: "ptest_0123456789abcdef_template".to_owned(), source };
    let server = || ServerError::Admin {
        address: address(),
        statement: "CREATE DATABASE …".to_owned(),
        source: QueryError::Db(db_error("53100", "No space left on device")),
    };
    let other = NotOfDraft::Kind { asks: "SQLite", makes: "PostgreSQL" };
    insta::assert_snapshot!(texts([
        apply(script("42601", "syntax error at or near \"tabel\"")),
        apply(script("42710", "role \"app\" already exists")),
        apply(script("42704", "role \"app\" does not exist")),
        apply(script("53100", "No space left on device")),
        apply(StepError::Migrator { tool: "sqlx".to_owned(), source: "migration 3 is missing".into() }),
        apply(StepError::Setup { path: "seed::users", source: other.into() }),
        apply(StepError::Setup { path: "seed::users", source: NotOfDraft::Named.into() }),
        apply(StepError::Database { source: QueryError::Io(broken()).into(), help: None }),
        apply(statement(Refused("\\i".to_owned()).into(), None)),
        TemplateError::Build { name: "ptest_0123456789abcdef_template".to_owned(), source: server() },
        TemplateError::Clone { name: name(), source: server() },
        TemplateError::Foreign { name: name(), owner: "mallory".to_owned(), user: "ada".to_owned() },
        TemplateError::Unmarked { name: name() },
    ]));
}

#[test]
fn migrations() {
    let toml = toml::de::DeTable::parse("[common").unwrap_err();
    let dir = || path("app/migrations");
    let posts = || path("app/migrations/2_posts.sql");
    insta::assert_snapshot!(texts([
        MigrationsError::Missing { path: dir(), named_by: "`migrations = \"migrations\"`" },
        MigrationsError::Read { path: dir(), source: io::ErrorKind::PermissionDenied.into() },
        MigrationsError::NotUtf8 { path: path("app/migrations/1_users.sql"), line: 3 },
        MigrationsError::Empty { dir: dir(), found: vec!["notes.txt".to_owned()] },
        MigrationsError::Changed { dir: dir() },
        MigrationsError::Twice {
            dir: dir(),
            version: "1".to_owned(),
            first: "1_users.sql".to_owned(),
            second: "01_posts.sql".to_owned(),
        },
        MigrationsError::Misnamed {
            path: path("app/migrations/users.sql"),
            tool: "sqlx",
            pattern: "<version>_<name>.sql"
        },
        MigrationsError::Mixed {
            dir: dir(),
            tool: "sqlx",
            first: ("sqlx", "1_users.sql".to_owned()),
            second: ("refinery", "V2__posts.sql".to_owned()),
        },
        MigrationsError::Code { path: path("app/migrations/V3__more.rs"), language: "Rust", tool: "refinery" },
        MigrationsError::Nested { path: path("app/migrations/more"), tool: "refinery" },
        MigrationsError::Lacks { path: path("app/migrations/2_posts"), file: "up.sql", tool: "diesel" },
        MigrationsError::NoWayUp { path: posts(), mark: "-- +goose Up", tool: "goose" },
        MigrationsError::BeforeWayUp { path: posts(), mark: "-- migrate:up", tool: "dbmate" },
        MigrationsError::Special { path: path("app/migrations/afterMigrate.sql"), what: "a callback", tool: "Flyway" },
        MigrationsError::Unsupported { path: posts(), line: 3, what: "-- +goose ENVSUB ON", tool: "goose" },
        MigrationsError::Tool { tool: "liquibase".to_owned(), known: "goose`, `sqlx".to_owned() },
        MigrationsError::Toml { path: path("app/sqlx.toml"), source: Box::new(toml) },
        MigrationsError::TomlKey { path: path("app/sqlx.toml"), key: "migrate.dir".to_owned(), expected: "a string" },
    ]));
}

#[test]
fn single_databases() {
    let (database, user) = (|| "app_ci".to_owned(), || "ada".to_owned());
    insta::assert_snapshot!(texts([
        Error::from(SingleError::Missing {
            database: database(),
            user: user(),
            source: ServerError::Refused {
                address: address(),
                database: database(),
                source: db_error("3D000", "database \"app_ci\" does not exist"),
            },
        }),
        Error::from(SingleError::Isolation { database: database(), user: user() }),
        Error::from(SingleError::Twice { database: database(), user: user() }),
        Error::from(SingleError::Keep { database: database() }),
        Error::from(SingleError::Foreign {
            database: database(),
            address: address(),
            objects: "table public.customer and 7 more".to_owned(),
        }),
        Error::from(SingleError::Rights {
            database: database(),
            user: user(),
            grants: "GRANT CREATE ON SCHEMA public TO ada".to_owned(),
        }),
        Error::from(SingleError::Apply {
            verb: "migrate",
            database: database(),
            source: script("42601", "syntax error at or near \"tabel\""),
        }),
        Error::from(SingleError::Held { database: database(), holder: "process 4711 of the server".to_owned() }),
    ]));
}

#[test]
fn leases() {
    insta::assert_snapshot!(texts([
        LeaseError::Exhausted { tried: 1000 },
        LeaseError::Foreign { tried: 1000, name: name(), owner: "mallory".to_owned() },
        LeaseError::Lock { database: name(), address: address(), source: QueryError::Io(broken()) },
        LeaseError::Socket(SocketError {
            folder: path("/tmp/ptest-7"),
            source: io::ErrorKind::PermissionDenied.into()
        }),
        LeaseError::Claim {
            folder: path("target/ptest/server/data/ptest_claims"),
            source: io::ErrorKind::PermissionDenied.into(),
        },
        LeaseError::Gone,
    ]));
}

#[test]
fn runs_and_parameters() {
    let fixture =
        FixtureError { path: "fixtures/users.sql", source: script("42P01", "relation \"users\" does not exist") };
    insta::assert_snapshot!(texts([
        Error::from(RunError::Runtime(io::Error::other("too many open files"))),
        Error::from(RunError::Timeout(Duration::from_secs(5))),
        Error::from(fixture),
        Error::other("the mail server of the test did not start"),
    ]));
}

#[test]
fn sqlite() {
    let cause = || "no such table: users".into();
    let file = || path("/app/target/ptest/sqlite/0123456789abcdef/0-1.sqlite");
    insta::assert_snapshot!(texts([
        SqliteError::File { action: "lock", path: file(), source: io::ErrorKind::PermissionDenied.into() },
        SqliteError::Open { path: file(), source: cause() },
        SqliteError::Build { path: file(), source: cause() },
        SqliteError::Apply { verb: "migrate", source: statement(cause(), None) },
        SqliteError::Fixture { path: "fixtures/users.sql", line: 3, source: cause() },
        SqliteError::FixtureEnded { path: "fixtures/users.sql" },
        SqliteError::Ended { how: "committed" },
        SqliteError::AfterConnection { second: "a `SqlitePool`" },
    ]));
}

//! Every argument, in every form.

use super::Pool;

mod schema {
    pub(super) static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;
}

#[ptest::db_test()]
async fn empty() {}

#[ptest::db_test(migrations = "tests/ui")]
async fn migrations(_: Pool) {}

#[ptest::db_test(migrations = false)]
async fn migrations_off(_: Pool) {}

#[ptest::db_test(migrator = schema::MIGRATOR)]
async fn migrator(_: Pool) {}

#[ptest::db_test(fixtures("users", "posts.sql"), fixtures())]
async fn fixtures_by_name(_: Pool) {}

#[ptest::db_test(fixtures("./fixtures/users.sql", "../pass/fixtures/posts.sql"), fixtures("users"))]
async fn fixtures_by_path(_: Pool) {}

#[ptest::db_test(fixtures(path = "../pass/fixtures", scripts("users", "posts.sql"), scripts("users")))]
async fn fixtures_below_path(_: Pool) {}

#[ptest::db_test(isolation = "transaction")]
async fn isolation_by_transaction(_: Pool) {}

#[ptest::db_test(isolation = "database", start_paused = false)]
async fn isolation_by_database(_: Pool) {}

#[ptest::db_test(level = "repeatable read", isolation = "database")]
async fn level(_: Pool) {}

#[ptest::db_test(turn_timeout = "500ms")]
async fn turn_timeout(_: Pool) {}

#[ptest::db_test(audit(open_transaction = "error", leaked_session = "off", other_connection = "warning",))]
async fn audit(_: Pool) {}

#[ptest::db_test(timeout = "1.5s")]
async fn timeout(_: Pool) {}

#[ptest::db_test(flavor = "multi_thread", worker_threads = 2, start_paused = false)]
async fn runtime_of_many_threads(_: Pool) {}

#[ptest::db_test(start_paused = true, flavor = "current_thread")]
async fn runtime_of_one_thread(_: Pool) {}

#[db::db_test(crate = ::db)]
async fn renamed(_: Pool) {}

#[ptest::db_test(crate = crate::pass::reexport)]
async fn reexported(_: Pool) {}

//! What a test does to its session does not reach the next test, which has the same backend.

use sqlx::{PgConnection, PgPool};

use crate::rerun::Rerun;

#[test]
fn the_next_test_on_the_same_backend() {
    let outcome = Rerun::module("isolation::session::inner::").threads(1).run();
    outcome.passed();
    let backends = outcome.lines("backend ");
    assert!(backends.len() == 2 && backends[0] == backends[1], "{outcome}");
}

/// What a fresh session answers to each of these.
const FRESH: &[(&str, &str)] = &[
    // The lease's own.
    ("select count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()", "1"),
    ("select count(*)::text from pg_prepared_statements where name like '%mine%'", "0"),
    ("select count(*)::text from pg_class where relname = 'mine'", "0"),
    ("select count(*)::text from pg_cursors where name = 'mine'", "0"),
    ("select count(*)::text from pg_listening_channels()", "0"),
    ("select current_setting('work_mem')", "4MB"),
    ("select current_setting('statement_timeout')", "0"),
    ("select coalesce(current_setting('app.user', true), '')", ""),
    ("select (current_user = session_user)::text", "true"),
    ("select current_setting('search_path')", "\"$user\", public"),
    ("select current_setting('transaction_isolation')", "read committed"),
    ("select current_setting('session_replication_role')", "origin"),
];

async fn assert_fresh(conn: &mut PgConnection) {
    for (sql, expected) in FRESH {
        let found: String = sqlx::query_scalar(*sql).fetch_one(&mut *conn).await.unwrap();
        assert_eq!(found, *expected, "{sql}");
    }
}

mod inner {
    use super::*;

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn a_changes_all(pool: PgPool) -> sqlx::Result<()> {
        let mut conn = pool.acquire().await?;
        assert_fresh(&mut conn).await;
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *conn).await?;
        println!("backend {backend}");
        for sql in [
            "select pg_advisory_lock(7), pg_advisory_lock_shared(8)",
            "prepare mine as select 1",
            "create temporary table mine ()",
            "declare mine cursor with hold for select 1",
            "listen mine",
            "set work_mem = '8MB'",
            "set statement_timeout = '1min'",
            "select set_config('app.user', 'admin', false)",
            "set search_path to pg_catalog",
            "set session_replication_role = replica",
            "set session characteristics as transaction isolation level serializable",
            "set role pg_monitor",
        ] {
            sqlx::raw_sql(sql).execute(&mut *conn).await?;
        }
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn b_finds_nothing_of_it(conn: &mut PgConnection) -> sqlx::Result<()> {
        assert_fresh(conn).await;
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(conn).await?;
        println!("backend {backend}");
        Ok(())
    }
}

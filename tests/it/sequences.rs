//! Ids: the same in every run and any order, whatever tests ran before on the same slot.

use sqlx::{PgConnection, PgPool, Row};

use crate::rerun::Rerun;

/// A table whose ids the migration has used, one whose ids nobody has, and a sequence with a start of its own.
static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("tests/it/migrations/sequences");

async fn next_ids(conn: &mut PgConnection) -> (i64, i64, i64) {
    let sql = "SELECT nextval('used_id_seq'), nextval('unused_id_seq'), nextval('odd')";
    let row = sqlx::query(sql).fetch_one(conn).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

macro_rules! every_test_gets_the_same_ids {
    ($($name:ident)*) => {
        $(#[ptest::db_test(migrator = MIGRATOR)]
        async fn $name(conn: &mut PgConnection) {
            assert_eq!(next_ids(conn).await, (3, 1, 1000));
            assert_eq!(next_ids(conn).await, (4, 2, 1007));
        })*
    };
}

every_test_gets_the_same_ids!(ids_a ids_b ids_c ids_d ids_e ids_f);

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_restart_inside_the_test_does_not_hide_what_came_before(conn: &mut PgConnection) {
    next_ids(conn).await;
    sqlx::query("ALTER SEQUENCE used_id_seq RESTART WITH 500").execute(&mut *conn).await.unwrap();
    sqlx::query("TRUNCATE unused RESTART IDENTITY").execute(&mut *conn).await.unwrap();
    assert_eq!(next_ids(conn).await, (500, 1, 1007));
}

/// `setval` without a following `nextval` shows in no `last_value` of `pg_sequences`.
async fn set_back_and_forth(conn: &mut PgConnection) {
    assert_eq!(next_ids(conn).await, (3, 1, 1000));
    let sql = "SELECT setval('used_id_seq', 9, false), setval('unused_id_seq', 9, false), setval('odd', 1021, false)";
    sqlx::query(sql).execute(conn).await.unwrap();
}

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_value_that_was_set_and_not_called_is_restored_a(conn: &mut PgConnection) {
    set_back_and_forth(conn).await;
}

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_value_that_was_set_and_not_called_is_restored_b(conn: &mut PgConnection) {
    set_back_and_forth(conn).await;
}

/// Only a superuser may.
async fn stop_counting(conn: &mut PgConnection) {
    let sql = "SELECT set_config('track_counts', 'off', false) WHERE current_setting('is_superuser')::bool";
    sqlx::query(sql).execute(conn).await.unwrap();
}

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_server_that_does_not_count_restores_as_well_a(conn: &mut PgConnection) {
    stop_counting(conn).await;
    set_back_and_forth(conn).await;
}

#[ptest::db_test(migrator = MIGRATOR)]
async fn a_server_that_does_not_count_restores_as_well_b(conn: &mut PgConnection) {
    stop_counting(conn).await;
    set_back_and_forth(conn).await;
}

#[ptest::db_test(migrator = MIGRATOR)]
async fn currval_is_undefined_at_the_start(pool: PgPool) {
    let error = sqlx::query("SELECT currval('used_id_seq')").execute(&pool).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("55000"));
}

mod rerun {
    use super::*;

    #[ptest::db_test(migrator = MIGRATOR)]
    #[ignore = "killed by a_killed_test_leaves_no_gap"]
    async fn takes_ids_and_waits(conn: &mut PgConnection) {
        set_back_and_forth(conn).await;
        println!("ids taken");
        std::thread::sleep(std::time::Duration::from_secs(60));
    }

    #[ptest::db_test(migrator = MIGRATOR)]
    #[ignore = "run by a_killed_test_leaves_no_gap"]
    async fn takes_the_first_ids(conn: &mut PgConnection, database: ptest::TestDatabase) {
        assert_eq!(database.slot(), 70, "not the slot of the killed test");
        assert_eq!(next_ids(conn).await, (3, 1, 1000));
    }
}

#[test]
fn a_killed_test_leaves_no_gap() {
    // A slot that no other test of this binary touches meanwhile.
    let slot = ("NEXTEST_TEST_GLOBAL_SLOT", "70");
    let mut running = Rerun::test("sequences::rerun::takes_ids_and_waits").env(slot.0, slot.1).start();
    running.wait_for("ids taken");
    running.kill();
    // The server needs a moment to see that the connection is gone.
    std::thread::sleep(std::time::Duration::from_millis(300));
    Rerun::test("sequences::rerun::takes_the_first_ids").env(slot.0, slot.1).run().passed();
}

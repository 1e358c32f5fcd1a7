//! Several sessions of a test: whose turn it is, how long one waits, and visits with `sessions = "shared"`.

use ptest::PgUrl;
use sqlx::{Acquire, Connection, Executor, PgConnection, PgPool, Row};

use crate::rerun::Rerun;
use crate::wire::{Wire, bind, frame, parse_message, query, show};

/// A service that forgets to pass its transaction on: the audit goes through the pool.
async fn transfers(pool: &PgPool, commit: bool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    tx.execute("insert into transfers values (1)").await?;
    pool.execute("insert into journal values ('transfer 1')").await?;
    tx.execute("insert into transfers values (2)").await?;
    if commit { tx.commit().await } else { tx.rollback().await }
}

async fn tables(pool: &PgPool) {
    pool.execute("create table transfers (a int primary key); create table journal (a text)").await.unwrap();
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    sqlx::query(sqlx::AssertSqlSafe(format!("select count(*) from {table}"))).fetch_one(pool).await.unwrap().get(0)
}

#[ptest::db_test(migrations = false)]
fn what_a_session_sets_goes_with_it_from_the_middle_of_a_transaction(url: PgUrl) {
    for left in ["select 1", "select 1/0"] {
        let (mut gone, mut next) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
        assert_eq!(gone.query("set work_mem = '5MB'; commit; begin"), "SET 25P01? COMMIT BEGIN T");
        gone.query(left);
        drop(gone);
        assert_eq!(next.query("show work_mem"), "(4MB) SHOW I", "{left}");
    }
}

#[ptest::db_test(migrations = false)]
fn a_session_that_resets_all_has_what_it_asked_for(url: PgUrl) {
    let (mut a, _) = Wire::start(url.as_str(), &[("options", "-c work_mem=9MB -c geqo=off")]);
    let mut b = Wire::connect(url.as_str());
    let shown = |wire: &mut Wire| wire.query("show work_mem; show geqo; show role");
    for reset in ["reset all", "discard all"] {
        a.query("set work_mem = '5MB'");
        assert_eq!(shown(&mut b), "(4MB) SHOW (on) SHOW (none) SHOW I");
        assert_eq!(shown(&mut a), "(5MB) SHOW (off) SHOW (none) SHOW I");
        a.query("set role pg_monitor");
        a.query(reset);
        assert_eq!(shown(&mut b), "(4MB) SHOW (on) SHOW (none) SHOW I", "{reset}");
        let role = if reset == "reset all" { "pg_monitor" } else { "none" };
        assert_eq!(shown(&mut a), format!("(9MB) SHOW (off) SHOW ({role}) SHOW I"), "{reset}");
        a.query("reset role");
        a.query(reset);
        b.query("set work_mem = '6MB'");
        assert_eq!(shown(&mut a), "(9MB) SHOW (off) SHOW (none) SHOW I", "{reset}");
        assert_eq!(b.query("reset work_mem"), "RESET I");
    }
    // It is committed at once, whatever comes behind it.
    a.query("set work_mem = '5MB'");
    assert_eq!(a.pipeline(&["discard all", "select 1/0"]), "DISCARD ALL 22012! I");
    assert_eq!(shown(&mut b), "(4MB) SHOW (on) SHOW (none) SHOW I");
    assert_eq!(shown(&mut a), "(9MB) SHOW (off) SHOW (none) SHOW I");
    // It has no value to go back to.
    a.query("set seed = 0.5");
    b.query("begin; set local seed = 0.5; commit");
    assert_eq!(shown(&mut a), "(9MB) SHOW (off) SHOW (none) SHOW I");
}

#[ptest::db_test(migrations = false, sessions = "shared")]
fn a_visitor_that_the_server_refuses_changes_nothing(url: PgUrl) {
    let mut holder = Wire::connect(url.as_str());
    assert_eq!(holder.query("set work_mem = '1MB'"), "SET I");
    assert_eq!(holder.query("begin; create table t (a int)"), "BEGIN CREATE TABLE T");
    let mut refused = Wire::start(url.as_str(), &[("DateStyle", "nonsense")]).0;
    assert_eq!(refused.query("select 1"), "22023!");
    assert_eq!(holder.query("show work_mem; savepoint s; insert into t values (1); commit"), {
        "(1MB) SHOW SAVEPOINT INSERT 0 1 COMMIT I"
    });
    assert_eq!(holder.query("show work_mem; select count(*) from t"), "(1MB) SHOW (1) SELECT 1 I");
}

#[ptest::db_test(migrations = false, sessions = "shared")]
async fn a_statement_beside_a_transaction_runs_inside_it(pool: PgPool) {
    tables(&pool).await;
    transfers(&pool, true).await.unwrap();
    assert_eq!((count(&pool, "transfers").await, count(&pool, "journal").await), (2, 1));
}

#[ptest::db_test(migrations = false, sessions = "shared")]
async fn an_error_on_a_visit_leaves_the_transaction_as_it_was(pool: PgPool) {
    tables(&pool).await;
    let mut tx = pool.begin().await.unwrap();
    tx.execute("insert into transfers values (1)").await.unwrap();
    for sql in ["insert into transfers values (1)", "nonsense", "select 1/0"] {
        pool.execute(sql).await.unwrap_err();
    }
    tx.execute("insert into transfers values (2)").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&pool, "transfers").await, 2);
}

#[ptest::db_test(migrations = false, sessions = "shared")]
async fn a_visit_leaves_savepoints_cursors_and_portals(pool: PgPool) {
    tables(&pool).await;
    let mut tx = pool.begin().await.unwrap();
    tx.execute("declare c cursor for select generate_series(1, 3)").await.unwrap();
    tx.execute("savepoint before").await.unwrap();
    tx.execute("insert into transfers values (1)").await.unwrap();
    tx.execute("rollback to before").await.unwrap();
    pool.execute("insert into journal values ('kept')").await.unwrap();
    assert_eq!(tx.fetch_one("fetch c").await.unwrap().get::<i32, _>(0), 1);
    let mut inner = tx.begin().await.unwrap();
    inner.execute("insert into transfers values (3)").await.unwrap();
    pool.execute("insert into journal values ('kept as well')").await.unwrap();
    inner.commit().await.unwrap();
    assert_eq!(tx.fetch_one("fetch c").await.unwrap().get::<i32, _>(0), 2);
    tx.commit().await.unwrap();
    assert_eq!((count(&pool, "transfers").await, count(&pool, "journal").await), (1, 2));
}

#[ptest::db_test(migrations = false, sessions = "shared")]
async fn settings_are_a_sessions_own_on_a_visit_as_well(url: PgUrl) {
    let (mut holder, mut visitor) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(holder.query("set search_path = holder; set work_mem = '1MB'"), "SET SET I");
    assert_eq!(visitor.query("set search_path = visitor"), "SET I");
    assert_eq!(holder.query("begin; select 1"), "BEGIN (1) SELECT 1 T");
    assert_eq!(visitor.query("show search_path; show work_mem"), "(visitor) SHOW (4MB) SHOW I");
    assert_eq!(holder.query("show search_path; show work_mem"), "(holder) SHOW (1MB) SHOW T");
    assert_eq!(visitor.pipeline(&["set search_path = elsewhere", "show search_path"]), "SET (elsewhere) SHOW I");
    assert_eq!(holder.query("show search_path; commit"), "(holder) SHOW COMMIT I");
    assert_eq!(visitor.query("show search_path"), "(elsewhere) SHOW I");
}

#[ptest::db_test(migrations = false, sessions = "shared")]
async fn a_transaction_waits_for_the_other_all_the_same(url: PgUrl) {
    let (mut holder, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(holder.query("begin; create table t (a int)"), "BEGIN CREATE TABLE T");
    assert_eq!(other.query("begin"), "PT001! I");
    assert_eq!(other.query("insert into t values (1)"), "INSERT 0 1 I");
    assert_eq!(holder.query("commit"), "COMMIT I");
    assert_eq!(other.query("begin; select a from t; commit"), "BEGIN (1) SELECT 1 COMMIT I");
}

/// A server needs no transaction for it: who only closes neither waits nor keeps the others waiting.
#[ptest::db_test(migrations = false, turn_timeout = "100ms")]
fn who_closes_a_statement_takes_no_turn(url: PgUrl) {
    const PREPARED: &str = "select count(*) from pg_prepared_statements where statement like '%mark%'";
    let (mut closes, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    let prepare = [parse_message("s", "select 1 as mark"), frame(b'S', b"")].concat();
    let close = [frame(b'C', b"Ss\0"), frame(b'H', b"")].concat();
    for holds in [false, true] {
        closes.send(&prepare);
        assert_eq!(show(&closes.until_ready()), "1 I", "{holds}");
        if holds {
            assert_eq!(other.query("begin"), "BEGIN T");
        }
        closes.send(&close);
        assert_eq!(closes.next().unwrap().tag, b'3');
        assert_eq!(other.query("select 2"), if holds { "(2) SELECT 1 T" } else { "(2) SELECT 1 I" });
        if holds {
            assert_eq!(other.query("commit"), "COMMIT I");
        }
        assert_eq!(closes.query(PREPARED), "(0) SELECT 1 I", "{holds}");
    }
    // Behind a batch, and before one that uses the name again.
    let once = [prepare.clone(), close.clone(), prepare.clone(), close, query("select 3")].concat();
    closes.send(&once);
    let until_query = |wire: &mut Wire| show(&wire.until(|message| message.tag == b'C'));
    assert_eq!(until_query(&mut closes), "1 I 3 1 I 3 (3) SELECT 1");
    assert_eq!(show(&closes.until_ready()), "I");
    closes.send(&[bind("", "s", &[]), frame(b'S', b"")].concat());
    assert_eq!(show(&closes.until_ready()), "26000! I");
}

#[ptest::db_test(turn_timeout = "100ms")]
async fn a_wait_ends_when_the_test_says(url: PgUrl) {
    let (mut holder, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    assert_eq!(holder.query("begin"), "BEGIN T");
    let messages = {
        other.send(&query("select 1"));
        other.until_ready()
    };
    let text = String::from_utf8_lossy(&messages[0].body).into_owned();
    assert!(text.contains("waited 100ms for its turn"), "{text}");
    // What helps, each by its argument.
    for argument in ["isolation = \"database\"", "sessions = \"shared\"", "turn_timeout"] {
        assert!(text.contains(argument), "{argument}: {text}");
    }
}

#[ptest::db_test(migrations = false, sessions = "shared", turn_timeout = "100ms")]
async fn a_wait_beside_a_transaction_that_is_not_shared_says_why(url: PgUrl) {
    let (mut holder, mut other) = (Wire::connect(url.as_str()), Wire::connect(url.as_str()));
    for changed in
        ["set work_mem = '5MB'", "select set_config('work_mem', '5MB', false)", "select 1/0", "begin read only"]
    {
        let begin = if changed == "begin read only" { "rollback" } else { "begin" };
        holder.query(begin);
        holder.query(changed);
        other.send(&crate::wire::query("select 1"));
        let text = String::from_utf8_lossy(&other.until_ready()[0].body).into_owned();
        assert!(text.contains("has failed, has changed a setting or is read only"), "{changed}: {text}");
        assert!(!text.contains("runs a statement beside a transaction"), "{changed}: {text}");
        holder.query("rollback");
    }
    holder.query("begin");
    assert_eq!(other.query("select 1"), "(1) SELECT 1 I");
    holder.query("commit");
}

mod inner {
    use super::*;

    #[ptest::db_test(migrations = false, sessions = "shared")]
    #[ignore = "run by another test: fails"]
    async fn rolls_back_what_another_session_did(pool: PgPool) {
        tables(&pool).await;
        transfers(&pool, false).await.unwrap();
        assert_eq!(count(&pool, "journal").await, 0);
    }

    #[ptest::db_test(migrations = false, sessions = "shared")]
    #[ignore = "run by another test: fails"]
    async fn leaves_a_transaction_open_that_was_visited(pool: PgPool) {
        tables(&pool).await;
        let mut tx = pool.begin().await.unwrap();
        tx.execute("insert into transfers values (1)").await.unwrap();
        pool.execute("insert into journal values ('x')").await.unwrap();
    }

    #[ptest::db_test(migrations = false, sessions = "shared")]
    #[ignore = "run by another test: passes"]
    async fn rolls_back_to_before_and_after_a_visit(conn: &mut PgConnection, url: PgUrl) {
        let mut other = PgConnection::connect(url.as_str()).await.unwrap();
        conn.execute("create table t (a int); begin").await.unwrap();
        other.execute("insert into t values (1)").await.unwrap();
        conn.execute("savepoint after; insert into t values (2); rollback to after; commit").await.unwrap();
        let rows = conn.fetch_all("select a from t").await.unwrap();
        assert_eq!(rows.len(), 1);
    }
}

#[test]
fn a_visit_that_is_rolled_back_fails_the_test() {
    let journal = "insert into journal values ('transfer 1')";
    Rerun::test("sessions::inner::rolls_back_what_another_session_did")
        .run()
        .failed()
        .says("which was then rolled back: insert into journal")
        .says(journal)
        .says("help: with `sessions = \"shared\"`");
    Rerun::test("sessions::inner::leaves_a_transaction_open_that_was_visited").run().failed().says("then rolled back");
    Rerun::test("sessions::inner::rolls_back_to_before_and_after_a_visit").run().passed();
}

// The isolation level of ptest's transaction, and of databases of a test's own.

const LEVELS: &str = "select current_setting('transaction_isolation') || ', ' || \
    current_setting('default_transaction_isolation')";

async fn shown(pool: &PgPool) -> (String, String, String) {
    let show: String = pool.fetch_one("show transaction_isolation").await.unwrap().get(0);
    let default: String = pool.fetch_one("show default_transaction_isolation").await.unwrap().get(0);
    (show, default, pool.fetch_one(LEVELS).await.unwrap().get(0))
}

#[ptest::db_test(level = "serializable")]
async fn level_is_that_of_the_transaction_and_the_default(pool: PgPool) {
    let (show, default, real) = shown(&pool).await;
    assert_eq!((&*show, &*default, &*real), ("serializable", "serializable", "serializable, serializable"));
    pool.execute("set default_transaction_isolation = 'read committed'; reset default_transaction_isolation")
        .await
        .unwrap();
    assert_eq!(shown(&pool).await.1, "serializable");
}

#[ptest::db_test(level = "repeatable read", isolation = "database")]
async fn level_is_the_default_in_a_database_of_its_own(pool: PgPool) {
    let (show, default, real) = shown(&pool).await;
    assert_eq!((&*show, &*default, &*real), ("repeatable read", "repeatable read", "repeatable read, repeatable read"));
}

#[ptest::db_test]
async fn the_next_test_on_the_slot_has_the_servers_level(pool: PgPool) {
    let (show, default, real) = shown(&pool).await;
    assert_eq!((&*show, &*default, &*real), ("read committed", "read committed", "read committed, read committed"));
}

//! Several sessions of a test: whose turn it is, and how long one waits.

use ptest::PgUrl;
use sqlx::{Executor, PgPool, Row};

use crate::wire::{Wire, bind, frame, parse_message, query, show};

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

#[ptest::db_test(turn_timeout = "100ms", audit(turn = "off"))]
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
    for argument in ["isolation = \"database\"", "turn_timeout"] {
        assert!(text.contains(argument), "{argument}: {text}");
    }
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

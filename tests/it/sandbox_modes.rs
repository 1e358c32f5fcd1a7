//! What the sandbox believes of a transaction's modes and of settings, as a client of a server would have it.

use ptest::PgUrl;

use crate::rerun::server_version;
use crate::wire::{Wire, bind, execute, frame, parse_message, query, read_only, show};

#[ptest::db_test(migrations = false)]
fn a_query_settles_the_modes_of_its_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    for (sql, settles) in [
        ("select 1", true),
        ("/* c */ values (1)", true),
        ("create temp table t (a int)", true),
        ("show work_mem", false),
        ("set work_mem = '5MB'", false),
        ("-- nothing", false),
        ("savepoint s; release s", false),
    ] {
        let answer = if settles { "25001! E" } else { "SET T" };
        a.query("begin");
        a.query(sql);
        assert_eq!(a.query("set transaction isolation level serializable"), answer, "{sql}");
        a.query("rollback; begin");
        a.pipeline(&sql.split(';').collect::<Vec<_>>());
        assert_eq!(a.query("set transaction isolation level serializable"), answer, "{sql}");
        a.query("rollback; begin; savepoint x");
        a.query(&format!("{sql}; select 1/0"));
        a.query("rollback to x");
        assert_eq!(a.query("set transaction deferrable"), "25001! E");
        a.query("rollback");
    }
    // What is no query is not analysed when it is bound.
    let utility = [parse_message("", "drop table missing"), bind("p", "", &[])].concat();
    let set = [parse_message("", "set transaction isolation level serializable"), bind("", "", &[]), execute("", 0)];
    a.send(&[utility, set.concat(), frame(b'S', b"")].concat());
    assert_eq!(show(&a.until_ready()), "1 2 1 2 25P01? SET I");
    a.send(&[query("begin"), parse_message("", "select 1"), frame(b'S', b"")].concat());
    assert_eq!((show(&a.until_ready()), show(&a.until_ready())), ("BEGIN T".into(), "1 T".into()));
    assert_eq!(a.query("set transaction isolation level serializable"), "25001! E");
}

#[ptest::db_test(migrations = false)]
fn of_several_modes_the_first_that_comes_too_late_is_refused(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    for (modes, refused) in [
        ("read write, isolation level serializable, deferrable", "read-write mode"),
        ("deferrable read write isolation level serializable", "DEFERRABLE"),
        ("isolation level serializable, read write", "ISOLATION LEVEL"),
    ] {
        a.query("begin read only; select 1");
        a.send(&query(&format!("start transaction {modes}")));
        let messages = a.until_ready();
        assert_eq!(show(&messages), "25001? 25001! E", "{modes}");
        assert!(messages[1].field(b'M').unwrap().contains(refused), "{modes}");
        a.query("rollback");
    }
}

#[ptest::db_test(migrations = false)]
fn a_query_inside_a_statement_settles_the_modes_when_it_is_prepared(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create procedure p() language plpgsql as 'begin end'");
    for (sql, settles) in [
        ("call p()", true),
        ("create table t as select 1", true),
        ("create materialized view v as select 1", true),
        ("explain select 1", true),
        ("create view v as select 1", false),
        ("create table t (a int)", false),
    ] {
        let begin =
            [parse_message("", "begin isolation level serializable"), bind("", "", &[]), execute("", 0)].concat();
        a.send(&[parse_message("s", sql), begin.clone(), frame(b'S', b"")].concat());
        let answer = show(&a.until_ready());
        assert_eq!(answer, if settles { "1 1 2 25001! I" } else { "1 1 2 BEGIN T" }, "{sql}");
        a.query("rollback; deallocate all");
        a.send(&[parse_message("s", sql), frame(b'S', b"")].concat());
        a.until_ready();
        a.send(&[bind("p", "s", &[]), begin, frame(b'S', b"")].concat());
        let answer = show(&a.until_ready());
        assert_eq!(answer, if settles { "2 1 2 25001! I" } else { "2 1 2 BEGIN T" }, "{sql}");
        a.query("rollback; deallocate all");
    }
}

#[ptest::db_test(migrations = false)]
fn a_pipeline_is_a_block_behind_its_first_statement_from_version_18_on(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let block = server_version() >= 18;
    for (sql, before, since) in [
        ("set transaction read only", "25P01? SET I", "SET I"),
        ("set local work_mem = '5MB'", "25P01? SET I", "SET I"),
        ("set constraints all deferred", "25P01? SET CONSTRAINTS I", "SET CONSTRAINTS I"),
        ("lock table pg_class", "25P01! I", "LOCK TABLE I"),
        ("declare c cursor for select 1", "25P01! I", "DECLARE CURSOR I"),
        ("discard all", "25001! I", "25001! I"),
        ("savepoint s", "25P01! I", "25P01! I"),
        ("commit and chain", "25P01! I", "25P01! I"),
    ] {
        let behind = if block { since } else { before };
        assert_eq!(a.pipeline(&["show work_mem", sql]), format!("(4MB) SHOW {behind}"), "{sql}");
        assert_eq!(
            a.pipeline(&["select 1", "commit", "show work_mem", sql]),
            format!("(1) SELECT 1 25P01? COMMIT (4MB) SHOW {behind}")
        );
        if sql != "discard all" {
            assert_eq!(
                a.pipeline(&["select 1", "commit", sql]),
                format!("(1) SELECT 1 25P01? COMMIT {before}"),
                "{sql}"
            );
            assert_eq!(a.pipeline(&["begin", "rollback", sql]), format!("BEGIN ROLLBACK {before}"), "{sql}");
            assert_eq!(a.pipeline(&[sql]), before, "{sql}");
        }
    }
    let fetched = if block { "(1) SELECT 1 DECLARE CURSOR (2) FETCH 1 I" } else { "(1) SELECT 1 25P01! I" };
    assert_eq!(a.pipeline(&["select 1", "declare c cursor for select 2", "fetch c"]), fetched);
    assert_eq!(a.pipeline(&["fetch c"]), "34000! I");
    assert_eq!(a.pipeline(&["show work_mem"]), "(4MB) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_savepoint_brings_modes_and_settings_back(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    for end in ["rollback to s", "release s"] {
        a.query("begin; savepoint s; set transaction read only");
        assert_eq!(
            a.query(&format!("{end}; show transaction_read_only; insert into t values (1)")).split(' ').next_back(),
            Some("T")
        );
        assert_eq!(a.query("show transaction_read_only"), "(off) SHOW T", "{end}");
        a.query("rollback");
    }
    assert_eq!(a.query("begin read only; savepoint s; set transaction read write"), "BEGIN SAVEPOINT 25001! E");
    assert_eq!(
        a.query("rollback; begin; savepoint s; set transaction isolation level serializable"),
        "ROLLBACK BEGIN SAVEPOINT 25001! E"
    );
    assert_eq!(
        a.query("rollback; begin; savepoint s; set transaction deferrable"),
        "ROLLBACK BEGIN SAVEPOINT 25001! E"
    );
    a.query("rollback");
    // Settings that the backend never has.
    let name = "idle_in_transaction_session_timeout";
    a.query(&format!("begin; set {name} = '1s'; savepoint s; set {name} = '2s'"));
    assert_eq!(a.query(&format!("rollback to s; show {name}")), "ROLLBACK (1s) SHOW T");
    assert_eq!(a.query(&format!("set {name} = '3s'; select 1/0")), "SET 22012! E");
    assert_eq!(a.query(&format!("rollback to s; show {name}")), "ROLLBACK (1s) SHOW T");
    assert_eq!(a.query(&format!("set local {name} = '4s'; release s; show {name}")), "SET RELEASE (4s) SHOW T");
    assert_eq!(a.query(&format!("commit; show {name}")), "COMMIT (1s) SHOW I");
    assert_eq!(a.query("begin; set default_transaction_read_only = on; rollback"), "BEGIN SET ROLLBACK I");
    assert_eq!(a.query("begin; set local default_transaction_read_only = on; commit"), "BEGIN SET COMMIT I");
    assert_eq!(a.query("show default_transaction_read_only; show transaction_read_only"), "(off) SHOW (off) SHOW I");
    assert_eq!(
        a.query("set default_transaction_read_only = on; insert into t values (1)"),
        format!("SET INSERT 0 1{} I", read_only("on"))
    );
}

#[ptest::db_test(migrations = false)]
fn a_failed_transaction_is_chained_as_it_began(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    a.query("begin isolation level serializable, read only; select 1/0");
    assert_eq!(a.query("rollback and chain"), "ROLLBACK T");
    let modes = "show transaction_isolation; show transaction_read_only; insert into t values (1)";
    assert_eq!(a.query(modes), "(read committed) SHOW (off) SHOW INSERT 0 1 T");
    a.query("rollback; begin isolation level serializable; rollback and chain; select 1/0");
    assert_eq!(a.query("rollback and chain"), "ROLLBACK T");
    assert_eq!(a.query("show transaction_isolation"), "(serializable) SHOW T");
}

#[ptest::db_test(migrations = false)]
fn what_was_set_stays_when_a_transaction_turns_to_writing(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int)");
    assert_eq!(
        a.query("begin read only; set application_name = 'one'; set local work_mem = '5MB'"),
        "BEGIN SET SET application_name=one T"
    );
    assert_eq!(a.query("set transaction read write; insert into t values (1)"), "SET INSERT 0 1 T");
    assert_eq!(a.query("show application_name; show work_mem"), "(one) SHOW (5MB) SHOW T");
    assert_eq!(a.query("commit; show application_name; show work_mem"), "COMMIT (one) SHOW (4MB) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_transaction_turns_to_writing_with_one_tag(url: PgUrl) {
    let (mut a, _) = Wire::start(url.as_str(), &[("options", "-c work_mem=9MB -c geqo=off")]);
    for changed in ["set session characteristics as transaction read only", "reset all"] {
        a.query(&format!("begin read only; {changed}"));
        assert_eq!(a.query("set transaction read write; show work_mem"), "SET (9MB) SHOW T", "{changed}");
        a.query(&format!("rollback; begin read only; {changed}"));
        assert_eq!(a.pipeline(&["set transaction read write", "show work_mem"]), "SET (9MB) SHOW T", "{changed}");
        a.query("rollback");
    }
}

#[ptest::db_test(migrations = false)]
fn set_config_decides_the_modes_of_the_next_transaction(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("select set_config('default_transaction_deferrable', '1', false)");
    assert_eq!(a.query("show transaction_deferrable"), "(on) SHOW I");
    a.query("begin; select set_config('default_transaction_isolation', 'serializable', true)");
    assert_eq!(a.query("commit; show transaction_isolation"), "COMMIT (read committed) SHOW I");
    let call = "select set_config('default_transaction_isolation', $1, false)";
    let run = [parse_message("", call), bind("", "", &["serializable"]), execute("", 0), frame(b'S', b"")];
    a.send(&run.concat());
    assert_eq!(show(&a.until_ready()), "1 2 (serializable) SELECT 1 I");
    assert_eq!(a.query("begin; show transaction_isolation"), "BEGIN (serializable) SHOW T");
    a.query("rollback; begin");
    a.query("select set_config('default_transaction_deferrable', 'off', false); rollback");
    assert_eq!(a.query("show transaction_deferrable"), "(on) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn set_local_gives_way_to_what_was_set_before_it(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    let value = |a: &mut Wire| a.query("show work_mem");
    a.query("set work_mem = '5MB'");
    assert_eq!(value(&mut a), "(5MB) SHOW I");
    a.query("begin; set work_mem = '6MB'; set local work_mem = '7MB'; commit");
    assert_eq!(value(&mut a), "(6MB) SHOW I");
    a.query("begin; set local work_mem = '7MB'; set work_mem = '8MB'; commit");
    assert_eq!(value(&mut a), "(8MB) SHOW I");
    a.query("begin; savepoint s; set work_mem = '9MB'; rollback to s; set local work_mem = '10MB'; commit");
    assert_eq!(value(&mut a), "(8MB) SHOW I");
    a.query("begin; select set_config('work_mem', '11MB', false); select set_config('work_mem', '12MB', true); commit");
    assert_eq!(value(&mut a), "(11MB) SHOW I");
    a.query("begin; reset all; set local work_mem = '12MB'; commit");
    assert_eq!(value(&mut a), "(4MB) SHOW I");
    // It leaves the roles.
    for begin in ["begin; set role pg_monitor", "set role pg_monitor; begin; set local role none"] {
        a.query(&format!("{begin}; reset all; set local work_mem = '12MB'; commit"));
        assert_eq!(a.query("show role; show work_mem"), "(pg_monitor) SHOW (4MB) SHOW I", "{begin}");
        a.query("reset role");
    }
    // A commit in the middle of a string, and the batch behind one that has set something.
    a.query("set work_mem = '13MB'; commit; set local work_mem = '14MB'");
    assert_eq!(value(&mut a), "(13MB) SHOW I");
    a.send(&[query("set work_mem = '15MB'"), query("begin; set local timezone = 'Asia/Tokyo'; commit")].concat());
    a.until_ready();
    a.until_ready();
    assert_eq!(value(&mut a), "(15MB) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_call_of_set_config_that_is_not_made_leaves_nothing_to_undo(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    for name in ["nonsense", "my.own", "max_connections", "work_mem"] {
        let call = format!("select case when now() is null then set_config('{name}', '1', true) end");
        assert_eq!(
            a.query(&format!("begin; set local geqo = off; {call}; commit")),
            "BEGIN SET (null) SELECT 1 COMMIT I"
        );
        assert_eq!(a.query("show work_mem; show geqo"), "(4MB) SHOW (on) SHOW I", "{name}");
    }
    let call = "select set_config('work_mem', '5MB', true), set_config('my.own', 'x', true)";
    assert_eq!(a.query(&format!("{call}; commit")), "(5MB,x) SELECT 1 25P01? COMMIT I");
    assert_eq!(a.query("show work_mem; select current_setting('my.own')"), "(4MB) SHOW () SELECT 1 I");
}

#[ptest::db_test(migrations = false)]
fn a_string_ends_where_the_session_says(url: PgUrl) {
    let off = "standard_conforming_strings=off";
    let options = [("options", "-c standard_conforming_strings=off")];
    // With the setting off, the backslash takes the quote along, and `commit` stands inside a string.
    let hidden = r"begin; select length('\'; commit; --')";
    let inside = |answer: &str| answer.contains("BEGIN") && answer.ends_with('T') && !answer.contains("COMMIT");
    let (mut a, mut b) = (Wire::start(url.as_str(), &options).0, Wire::connect(url.as_str()));
    let answer = a.query(hidden);
    assert!(inside(&answer), "{answer}");
    assert_eq!(a.query("rollback; reset standard_conforming_strings"), "ROLLBACK RESET I");
    assert!(inside(&a.query(hidden)));
    a.query("rollback");
    let plain = r"begin; select '\'; commit";
    assert_eq!(b.query(plain), r"BEGIN (\) SELECT 1 COMMIT I");
    assert_eq!(a.query("set standard_conforming_strings = on"), "SET standard_conforming_strings=on I");
    assert_eq!(a.query(plain), r"BEGIN (\) SELECT 1 COMMIT I");
    for (set, end) in [
        ("set standard_conforming_strings = off", "rollback"),
        ("set local standard_conforming_strings = off", "commit"),
        ("savepoint s; set standard_conforming_strings = off", "rollback to s; commit"),
        ("select set_config('standard_conforming_strings', 'off', true)", "commit"),
    ] {
        assert_eq!(b.query("begin"), "BEGIN T");
        assert!(b.query(set).contains(off), "{set}");
        let answer = b.query(r"select length('\'; commit; --')");
        assert!(answer.ends_with("(13) SELECT 1 T"), "{set}: {answer}");
        assert!(b.query(end).ends_with("standard_conforming_strings=on I"), "{set}");
        assert_eq!(b.query(plain), r"BEGIN (\) SELECT 1 COMMIT I");
    }
    // ptest's own statements mean the same under either setting.
    assert_eq!(b.query("set local standard_conforming_strings = off; prepare q as select 1"), "SET PREPARE I");
    // Inside a batch, the server knows at once.
    let answer = b.pipeline(&["begin", "set standard_conforming_strings = off", r"select length('\'; commit; --')"]);
    assert!(answer.contains("(13) SELECT 1") && answer.ends_with('T'), "{answer}");
    assert!(b.query("rollback").ends_with("on I"));
}

#[ptest::db_test(migrations = false)]
fn a_portal_outlives_the_turn_to_writing(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table t (a int); set default_transaction_read_only = on");
    let run = |sql: &str| [parse_message("", sql), bind("", "", &[]), execute("", 0)].concat();
    let describe = frame(b'D', b"P\0");
    let insert = run("insert into t values (1)");
    a.send(&[run("set transaction read write"), describe, insert, frame(b'S', b"")].concat());
    assert_eq!(show(&a.until_ready()), "1 2 25P01? SET n 1 2 INSERT 0 1 I");
}

#[ptest::db_test(migrations = false)]
fn a_batch_stays_read_only_behind_discard_all(url: PgUrl) {
    let (mut a, _) = Wire::start(url.as_str(), &[("default_transaction_read_only", "on")]);
    a.query("set standard_conforming_strings = off");
    let answer = a.pipeline(&["discard all", "commit", "create table t (a int)"]);
    assert_eq!(answer, "DISCARD ALL 25P01? COMMIT 25006! standard_conforming_strings=on I");
}

#[ptest::db_test(migrations = false)]
fn what_the_scanner_warns_of_comes_first(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("set standard_conforming_strings = off; set client_min_messages = notice");
    assert_eq!(a.query(r"begin; begin; select length('\\')"), "22P06? BEGIN 25001? BEGIN (1) SELECT 1 T");
    assert_eq!(a.query(r"begin; select length('\\'); selec"), "22P06? 42601! E");
}

#[ptest::db_test(migrations = false)]
fn a_function_call_is_a_query(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("begin");
    // int4div(4, 2), in text.
    let body = [&154u32.to_be_bytes()[..], &[0, 0, 0, 2, 0, 0, 0, 1, b'4', 0, 0, 0, 1, b'2', 0, 0]].concat();
    a.send(&frame(b'F', &body));
    assert_eq!(show(&a.until_ready()), "V T");
    assert_eq!(a.query("set transaction isolation level serializable"), "25001! E");
}

#[ptest::db_test(migrations = false)]
fn an_error_names_the_unnamed_statement_as_the_server_does(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.send(&[parse_message("", "select $1::int"), bind("", "", &[]), frame(b'S', b"")].concat());
    let message = "bind message supplies 0 parameters, but prepared statement \"\" requires 1";
    assert_eq!(a.until_ready()[1].field(b'M').unwrap(), message);
    a.query("select 1");
    a.send(&[bind("", "", &[]), frame(b'S', b"")].concat());
    assert_eq!(a.until_ready()[0].field(b'M').unwrap(), "unnamed prepared statement does not exist");
}

#[ptest::db_test(migrations = false)]
fn a_read_only_transaction_empties_temporary_tables(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create temp table e (a int) on commit delete rows");
    assert_eq!(a.query("begin read only; insert into e values (1); commit"), "BEGIN INSERT 0 1 COMMIT I");
    assert_eq!(a.query("select * from e"), "SELECT 0 I");
    assert_eq!(a.query("insert into e values (1); set transaction read only"), "INSERT 0 1 SET I");
    assert_eq!(a.query("select * from e"), "SELECT 0 I");
}

#[ptest::db_test(migrations = false)]
fn a_refusal_in_a_failed_transaction_leaves_nothing(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("begin");
    let twice = [parse_message("", "begin"), bind("p", "", &[]), execute("p", 0), execute("p", 0), frame(b'S', b"")];
    a.send(&twice.concat());
    assert_eq!(show(&a.until_ready()), "1 2 25001? BEGIN 55000! E");
    assert_eq!(a.pipeline(&["commit"]), "ROLLBACK I");
}

#[ptest::db_test(migrations = false)]
fn a_commit_that_fails_takes_back_only_the_tag(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("create table p (id int primary key); create table c (p int references p deferrable initially deferred)");
    let answer = a.query("insert into c values (1); show default_transaction_read_only");
    assert_eq!(answer, "INSERT 0 1 (off) 23503! I");
    assert_eq!(a.query("insert into c values (1); commit"), "INSERT 0 1 25P01? 23503! I");
}

#[ptest::db_test(migrations = false)]
fn a_setting_of_a_module_goes_back_to_its_own_default(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("do $$ begin end $$; set plpgsql.check_asserts = off; set own.x = 'y'; reset plpgsql.check_asserts");
    assert_eq!(a.query("begin; set local work_mem = '5MB'; commit"), "BEGIN SET COMMIT I");
    let mut b = Wire::connect(url.as_str());
    assert_eq!(b.query("begin; set local plpgsql.check_asserts = off; commit"), "BEGIN SET COMMIT I");
    assert_eq!(b.query("show plpgsql.check_asserts"), "(on) SHOW I");
    assert_eq!(a.query("show plpgsql.check_asserts; show own.x"), "(on) SHOW (y) SHOW I");
}

#[ptest::db_test(migrations = false)]
fn a_timer_of_the_backend_ends_with_the_clients_transaction(url: PgUrl) {
    let [mut a, mut b] = [(); 2].map(|()| Wire::connect(url.as_str()));
    let mut timers = vec!["idle_in_transaction_session_timeout"];
    timers.extend((crate::rerun::server_version() >= 17).then_some("transaction_timeout"));
    for timer in timers {
        assert_eq!(a.query(&format!("select set_config('{timer}', '50ms', false)")), "(50ms) SELECT 1 I");
        assert_eq!(
            a.query(&format!("begin; select set_config('{timer}', '50ms', false); commit")),
            "BEGIN (50ms) SELECT 1 COMMIT I"
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert_eq!(b.query("select 1"), "(1) SELECT 1 I", "{timer}");
    }
}

#[ptest::db_test(migrations = false)]
fn an_error_behind_a_name_that_is_replaced_stands_where_the_client_has_it(url: PgUrl) {
    let mut a = Wire::connect(url.as_str());
    a.query("prepare known (int) as select $1");
    for (text, wrong) in [
        ("prepare q as selec 1", "selec"),
        ("prepare q as select missing", "missing"),
        ("execute known (missing)", "missing"),
        ("deallocate known, q", ", q"),
    ] {
        let position = text.find(wrong).map(|at| (at + 1).to_string());
        let run = [parse_message("", text), bind("", "", &[]), execute("", 0), frame(b'S', b"")].concat();
        for sent in [query(text), run] {
            a.send(&sent);
            let messages = a.until_ready();
            let error =
                messages.iter().find(|m| m.tag == b'E').unwrap_or_else(|| panic!("{text}: {}", show(&messages)));
            assert_eq!(error.field(b'P'), position, "{text}");
        }
    }
}

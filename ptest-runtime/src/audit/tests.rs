//! The texts as a user reads them, and the severities as a user writes them.

use super::*;

fn every_finding() -> Vec<Finding> {
    let database = || "ptest_0123456789abcdef_0".to_owned();
    let sql = "INSERT INTO account (name)\n  VALUES ('ada')".to_owned();
    let straggler = Straggler { session: Some(2), sql: sql.clone(), in_transaction: false, connected: false };
    vec![
        Finding::Ended { database: database() },
        Finding::Written { database: database() },
        Finding::Turn(Deviation {
            session: 2,
            what: "session 2 waited 2s for its turn while session 1 was idle in a transaction".to_owned(),
            sql: sql.clone(),
            more: 0,
        }),
        Finding::Sandbox(Deviation {
            session: 1,
            what: "VACUUM cannot run inside a transaction block (25001)".to_owned(),
            sql: "VACUUM".to_owned(),
            more: 2,
        }),
        Finding::DeferredConstraint {
            error: "insert or update on table \"post\" violates foreign key constraint \"post_author_fkey\" \
                    (SQLSTATE 23503)"
                .to_owned(),
        },
        Finding::of(Straggler { in_transaction: true, ..straggler.clone() }),
        Finding::of(Straggler { connected: true, in_transaction: true, ..straggler.clone() }),
        Finding::of(Straggler { connected: true, session: None, sql: String::new(), ..straggler.clone() }),
        Finding::of(straggler),
        Finding::AdvisoryLock { keys: vec!["7".to_owned(), "(1, -2)".to_owned()] },
        Finding::OtherConnection {
            database: database(),
            clients: vec!["psql, user postgres, which last ran: SELECT 1".to_owned()],
        },
    ]
}

#[test]
fn the_text_of_each() {
    let texts: Vec<String> = every_finding().into_iter().map(|f| format!("{:?}", AuditError(vec![f]))).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn the_text_of_several() {
    let mut all = every_finding();
    all.truncate(2);
    insta::assert_snapshot!(format!("{:?}", AuditError(all)));
}

#[test]
fn a_test_has_its_own_severities_and_the_others_those_of_the_run() {
    let open = || vec![every_finding().remove(5)];
    let none = Severities::new();
    let (off, error) =
        (none.set(Kind::OpenTransaction, Severity::Off), none.set(Kind::OpenTransaction, Severity::Error));
    assert!(judge(open(), &none, &none).is_ok(), "a warning by default");
    assert!(judge(open(), &none, &error).is_err());
    assert!(judge(open(), &off, &error).is_ok());
    assert!(judge(open(), &error, &off).is_err());
}

#[test]
fn an_escape_has_no_severity() {
    let off = Severities::parse(
        "turn=off,sandbox=off,deferred_constraint=off,open_transaction=off,leaked_session=off,advisory_lock=off,other_connection=off",
    )
    .unwrap();
    let left: Vec<String> = every_finding()
        .into_iter()
        .filter_map(|finding| judge(vec![finding], &off, &off).err())
        .map(|error| error.to_string())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn lists_of_severities() {
    let severities = Severities::parse(" open_transaction = error ,leaked_session=off,").unwrap();
    assert_eq!(severities.of(Kind::OpenTransaction), Some(Severity::Error));
    assert_eq!(severities.of(Kind::LeakedSession), Some(Severity::Off));
    assert_eq!(severities.of(Kind::AdvisoryLock), None);
    for (text, error) in [
        ("error", Misspelled::Form("error".into())),
        ("open_transactions=off", Misspelled::Finding("open_transactions".into())),
        ("escape=off", Misspelled::Escape),
        ("advisory_lock=warn", Misspelled::Severity("warn".into())),
        ("advisory_lock=off,advisory_lock=off", Misspelled::Twice("advisory_lock")),
    ] {
        assert_eq!(Severities::parse(text), Err(error), "{text}");
    }
}

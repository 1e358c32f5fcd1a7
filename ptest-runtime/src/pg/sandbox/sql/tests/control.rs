//! Transaction control, and what only looks like it.

use super::check;

#[test]
fn begin() {
    check(&[
        ("begin", "begin"),
        ("BEGIN WORK", "begin"),
        ("Begin Transaction", "begin"),
        ("/*comment*/ BEGIN", "begin"),
        ("BEGIN--c\n;", "begin"),
        ("BEGIN -- c", "begin"),
        ("begin;;commit", "begin; commit"),
        ("begin ; -- x ; y\n /* ; */", "begin"),
        ("START TRANSACTION", "begin"),
        ("start/**/transaction", "begin"),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE",
            "begin, serializable, read only, not deferrable",
        ),
        (
            "begin transaction isolation level repeatable read read write deferrable",
            "begin, repeatable, read write, deferrable",
        ),
        ("begin work isolation level read uncommitted", "begin, uncommitted"),
        ("begin read only read write", "begin, read write"),
        ("begin isolation level serializable isolation level read committed", "begin, committed"),
        ("begin not deferrable, deferrable", "begin, deferrable"),
        ("start transaction read only", "begin, read only"),
        ("start transaction isolation level serializable,read write", "begin, serializable, read write"),
    ]);
}

#[test]
fn not_begin() {
    check(&[
        ("begin foo", "other"),
        ("begin atomic", "other"),
        ("begin work work", "other"),
        ("begin work transaction", "other"),
        ("begin, read only", "other"),
        ("begin read only,", "other"),
        ("begin read only,, read write", "other"),
        ("begin read", "other"),
        ("begin not", "other"),
        ("begin isolation level", "other"),
        ("begin isolation level read", "other"),
        ("begin isolation level snapshot", "other"),
        ("begin \"work\"", "other"),
        ("\"begin\"", "other"),
        ("begin()", "other"),
        ("begin 1", "other"),
        ("beginning", "other"),
        ("begin$", "other"),
        ("start", "other"),
        ("start work", "other"),
        ("start transaction work", "other"),
        ("'begin'", "other"),
        ("(begin)", "other"),
        ("explain begin", "other"),
    ]);
}

#[test]
fn commit() {
    check(&[
        ("commit", "commit"),
        ("COMMIT WORK", "commit"),
        ("commit transaction and no chain", "commit"),
        ("commit and chain", "commit, chain"),
        ("end", "commit"),
        ("end work and chain", "commit, chain"),
        ("END TRANSACTION", "commit"),
        ("commit prepared 'x'", "CommitPrepared"),
        ("commit prepared $$x$$", "CommitPrepared"),
        ("commit prepared U&'!0061' uescape '!'", "CommitPrepared"),
        ("commit prepared e'x'\n'y'", "CommitPrepared"),
        ("prepare transaction 'x'", "PrepareTransaction"),
        ("commit 1", "other"),
        ("commit and", "other"),
        ("commit and no", "other"),
        ("commit chain", "other"),
        ("commit to a", "other"),
        ("commit prepared", "other"),
        ("commit prepared x", "other"),
        ("commit prepared b'1'", "other"),
        ("commit prepared n'x'", "other"),
        ("commit prepared 'x' 'y'", "other"),
        ("commit work prepared 'x'", "other"),
        ("commit prepared 'x' uescape '!'", "other"),
        ("commit prepared U&'x' uescape", "other"),
        ("end prepared 'x'", "other"),
        ("end case", "other"),
        ("prepare transaction", "other"),
    ]);
}

#[test]
fn rollback() {
    check(&[
        ("rollback", "rollback"),
        ("rollback transaction", "rollback"),
        ("rollback work and no chain", "rollback"),
        ("rollback and chain", "rollback, chain"),
        ("abort", "rollback"),
        ("abort work and chain", "rollback, chain"),
        ("rollback prepared 'x'", "RollbackPrepared"),
        ("rollback to a", "rollback to a"),
        ("rollback to savepoint a", "rollback to a"),
        ("ROLLBACK WORK TO SAVEPOINT x", "rollback to x"),
        ("rollback transaction to \"A b\"", "rollback to A b"),
        ("rollback to savepoint", "rollback to savepoint"),
        ("rollback to savepoint savepoint", "rollback to savepoint"),
        ("rollback to work", "rollback to work"),
        ("rollback to", "other"),
        ("rollback a", "other"),
        ("rollback to select", "other"),
        ("rollback to a.b", "other"),
        ("rollback to 'a'", "other"),
        ("rollback to a and chain", "other"),
        ("rollback prepared", "other"),
        ("abort to a", "other"),
        ("abort prepared 'x'", "other"),
    ]);
}

#[test]
fn savepoints() {
    check(&[
        ("savepoint a", "savepoint a"),
        ("SAVEPOINT Ab_1$", "savepoint ab_1$"),
        ("savepoint savepoint", "savepoint savepoint"),
        ("savepoint work", "savepoint work"),
        ("savepoint values", "savepoint values"),
        ("savepoint system_user", "savepoint system_user"),
        ("release a", "release a"),
        ("release savepoint a", "release a"),
        ("release savepoint", "release savepoint"),
        ("release savepoint savepoint", "release savepoint"),
        ("release\"a\"", "release a"),
        ("savepoint", "other"),
        ("savepoint a b", "other"),
        ("savepoint select", "other"),
        ("savepoint binary", "other"),
        ("savepoint current_schema", "other"),
        ("savepoint 'a'", "other"),
        ("savepoint $1", "other"),
        ("savepoint 1", "other"),
        ("savepoint a.b", "other"),
        ("savepoint \"a\" uescape '!'", "other"),
        ("release", "other"),
        ("release work a", "other"),
        ("release to a", "other"),
        ("release all", "other"),
    ]);
}

#[test]
fn names_are_folded_as_the_server_folds_them() {
    let long = "x".repeat(70);
    check(&[
        ("savepoint ÀÉ", "savepoint ÀÉ"),
        ("savepoint \"a\"\"B\"", "savepoint a\"B"),
        ("savepoint U&\"d\\0061t\\+000061\"", "savepoint data"),
        ("savepoint u&\"d!0061\" /* ' */ uescape --x\n '!'", "savepoint da"),
        ("savepoint U&\"\\D83D\\DE00\\\\\"\"\"", "savepoint 😀\\\""),
        ("savepoint U&\"\\D83D\\+00DE00\"", "savepoint 😀"),
        (&format!("savepoint {long}"), &format!("savepoint {}", &long[..63])),
        (&format!("savepoint \"{long}\""), &format!("savepoint {}", &long[..63])),
        (&format!("savepoint \"{}éy\"", &long[..62]), &format!("savepoint {}", &long[..62])),
        (&format!("savepoint \"{}éy\"", &long[..61]), &format!("savepoint {}é", &long[..61])),
        (&format!("savepoint U&\"\\00e9{}\"", &long[..62]), &format!("savepoint é{}", &long[..61])),
    ]);
}

#[test]
fn modes_of_transactions() {
    check(&[
        ("set transaction isolation level serializable", "set transaction, serializable"),
        ("set transaction read only, not deferrable", "set transaction, read only, not deferrable"),
        ("set local transaction read write deferrable", "set transaction, read write, deferrable"),
        ("set session transaction read only", "set transaction, read only"),
        ("set transaction snapshot '00000003-0000001B-1'", "SetTransactionSnapshot"),
        ("set local transaction snapshot 'x'", "SetTransactionSnapshot"),
        ("set session characteristics as transaction read only", "session characteristics, read only"),
        ("set session session characteristics as transaction read only", "session characteristics, read only"),
        ("set local session characteristics as transaction deferrable", "local characteristics, deferrable"),
        ("set constraints all deferred", "SetConstraints"),
        ("set constraints a, b.c immediate", "SetConstraints"),
        ("set transaction = 1", "set transaction = 1"),
        ("set session characteristics = 4", "set characteristics = 4"),
        ("set constraints to on", "set constraints = on"),
        ("set transaction", "other"),
        ("set transaction foo", "other"),
        ("set transaction snapshot", "other"),
        ("set transaction snapshot x", "other"),
        ("set session characteristics as transaction", "other"),
        ("set session characteristics", "other"),
        ("set local constraints all deferred", "other"),
        ("set constraints", "other"),
    ]);
}

//! Conversations of clients with a server and with a sandbox, compared message by message.
//!
//! What may differ, and is not compared or not generated:
//! - the source file, line and routine in an error, the identifiers of tables, process numbers and secrets;
//! - the name of the database, and a function's schema where an error says which function it came from: a backend remembers
//!   how it was spelt at the first call;
//! - hints that name `isolation = "database"`, the notice at LISTEN and NOTIFY, and notifications;
//! - how `PREPARE TRANSACTION` is refused, and where a statement was when it was cancelled;
//! - a procedure that ends transactions: the sandbox refuses it (2D000) where a server would not;
//! - a setting of the client's own making that nobody has set, which another session's may leave empty instead of null;
//! - the order of the parameters that are reported at once, which is another in every version of the server;
//! - the warning "skipping cleanup for portal" after a portal was bound in a failed transaction;
//! - the order of rows that nothing orders, which depends on what was undone before;
//! - what `now()` and transaction identifiers say, and the catalogue's views of settings, cursors and statements;
//! - on PostgreSQL 18, one statement as a simple query behind a pipeline without a Sync: the server does not commit it, and
//!   after the Sync fails at what comes next (XX000, "unexpected state STARTED"); a function call there, which it takes for
//!   one more statement of the pipeline and the sandbox for its end;
//! - one session's temporary tables, held cursors and advisory locks in another session;
//! - a statement that waits for another session's transaction.

pub(crate) mod generate;
mod normal;
mod plain;
mod run;
mod shrink;
mod tables;
mod texts;

use ptest::PgUrl;

use generate::Random;
use plain::Plain;
use run::Pair;

/// How many sessions there are.
const SESSIONS: usize = 3;

/// A client's part of a conversation; the server's is what is compared.
pub(crate) type Conversation = Vec<Turn>;

/// Messages of one session, sent at once.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    session: usize,
    batches: Vec<Batch>,
    /// What is sent if the server asks for copy data, and whether it ends with CopyFail.
    copy: Vec<&'static [u8]>,
    copy_fails: bool,
}

/// What a client asks for at start-up.
pub(crate) type Parameters = &'static [(&'static str, &'static str)];

/// What ends with one ReadyForQuery.
#[derive(Debug, Clone)]
pub(crate) enum Batch {
    /// A simple query of these statements.
    Simple(Vec<String>),
    /// Extended messages, and a Sync.
    Extended(Vec<Extended>),
    /// A function call that divides 4 by this number.
    Call(&'static str),
    /// Extended messages and a simple query of these statements, with a Sync behind it only.
    Unsynced(Vec<Extended>, Vec<String>),
    /// A statement, through the extended protocol or not, that is cancelled while it runs.
    Cancelled(bool),
    /// The client goes, with a Terminate or without, and comes back with these parameters. It shares its turn with nothing.
    HangUp(bool, Parameters),
}

#[derive(Debug, Clone)]
pub(crate) enum Extended {
    Parse(&'static str, String),
    Bind(&'static str, &'static str),
    Describe(u8, &'static str),
    Execute(&'static str, u32),
    Close(u8, &'static str),
    Flush,
    /// Parse, Bind, Describe and Execute without names.
    Run(String),
    /// The same with results in binary.
    Binary(String),
    /// Bind with one value.
    BindOne(&'static str, &'static str, &'static str),
    /// Run with one value.
    With(&'static str, &'static str),
}

/// How many conversations there are in all, if `PTEST_TEST_CONVERSATIONS` says nothing else. `./test all` has ten times as many.
const CONVERSATIONS: u64 = 1_000;

/// Where they begin, if `PTEST_TEST_SEED` says nothing else: the same each time. `PTEST_TEST_SEED` searches elsewhere.
const SEED: u64 = 62_000_000;

/// One after the other, conversations with either side leave both cores waiting: so they are several tests.
macro_rules! parts {
    ($($name:ident $number:literal)*) => {
        const PARTS: u64 = [$($number),*].len() as u64;
        // What a client is told is compared, not what a test has lived on.
        $(#[ptest::db_test(migrations = false, audit(turn = "off", sandbox = "off", deferred_constraint = "off"))]
        fn $name(url: PgUrl) {
            compare($number, url.as_str());
        })*
    };
}

parts! {
    a_sandbox_answers_as_a_server_does_1 0
    a_sandbox_answers_as_a_server_does_2 1
    a_sandbox_answers_as_a_server_does_3 2
    a_sandbox_answers_as_a_server_does_4 3
}

fn compare(part: u64, sandbox: &str) {
    // Before version 14 a server reports a setting in the middle of a string, not before its `ReadyForQuery`.
    if crate::rerun::server_version() < 14 {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("PTEST_TEST_SEED").unwrap_or(SEED);
    let count = number("PTEST_TEST_CONVERSATIONS").unwrap_or(CONVERSATIONS) / PARTS;
    println!("PTEST_TEST_SEED={seed}");
    let Some(plain) = Plain::beside(sandbox, part) else {
        println!("skipped: the server of this test cannot be reached through a local socket without a password");
        return;
    };
    let bare = part % 2 == 1;
    let mut pair = Pair::new(&plain, sandbox, bare);
    let most = number("PTEST_TEST_DIFFERENCES").unwrap_or(1);
    let mut found = 0;
    for index in 0..count {
        let one = seed.wrapping_add(part * count + index);
        let conversation = generate::conversation(&mut Random(one), bare);
        if let Some(difference) = pair.run(&conversation) {
            let alone = one.wrapping_sub(part);
            println!(
                "{difference}\nconversation {index}, alone: PTEST_TEST_SEED={alone} PTEST_TEST_CONVERSATIONS={PARTS}\n{conversation:?}"
            );
            let (shortest, difference) = shrink::shrink(&mut pair, conversation, difference);
            println!("shortest: {shortest:?}\n{difference}\n");
            found += 1;
        }
        if found == most {
            break;
        }
    }
    assert_eq!(found, 0, "differences");
}

//! The findings, and their texts: what happened, why, what to write, what it costs.

use std::fmt;

use super::severities::Kind;
use crate::error::Failure;

/// Something found when a test was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// ptest's own transaction had ended.
    Ended {
        database: String,
    },
    /// Somebody else wrote to the leased database.
    Written {
        database: String,
    },
    /// A session was refused its turn.
    Turn(Deviation),
    /// The sandbox made a difference.
    Sandbox(Deviation),
    /// A deferred constraint was violated, in the server's words.
    DeferredConstraint {
        error: String,
    },
    OpenTransaction(Straggler),
    LeakedSession(Straggler),
    /// Keys, as `pg_advisory_lock` takes them.
    AdvisoryLock {
        keys: Vec<String>,
    },
    /// Connections to the leased database, each as the server knows it.
    OtherConnection {
        database: String,
        clients: Vec<String>,
    },
}

/// Something that a client was told, or that happened to it, because it was in a sandbox and not on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deviation {
    pub(crate) session: u32,
    /// What it was told, or what happened.
    pub(crate) what: String,
    /// The start of the statement.
    pub(crate) sql: String,
    /// How many more there were of the kind.
    pub(crate) more: usize,
}

/// A session that was not done when its test's body had returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Straggler {
    /// Its number, where it has one.
    pub(crate) session: Option<u32>,
    /// The start of its last statement.
    pub(crate) sql: String,
    pub(crate) in_transaction: bool,
    /// Its client had not gone with the runtime of the test.
    pub(crate) connected: bool,
}

/// Findings that fail a test.
#[derive(thiserror::Error)]
pub(crate) struct AuditError(pub(super) Vec<Finding>);

impl Finding {
    /// What a session's state at the end is to be called; `None`: it is as it should be.
    pub(crate) fn of(straggler: Straggler) -> Finding {
        match straggler {
            Straggler { connected: false, in_transaction: true, .. } => Finding::OpenTransaction(straggler),
            _ => Finding::LeakedSession(straggler),
        }
    }

    /// The same, where a session that is still open may hide a transaction that is open as well.
    pub(crate) fn all_of(straggler: Straggler) -> impl Iterator<Item = Finding> {
        let both = straggler.connected && straggler.in_transaction;
        let open = both.then(|| Finding::OpenTransaction(straggler.clone()));
        open.into_iter().chain([Finding::of(straggler)])
    }

    /// Under which name its severity is chosen; `None`: it is an error at all times.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Finding::Ended { .. } | Finding::Written { .. } => None,
            Finding::Turn(_) => Some(Kind::Turn),
            Finding::Sandbox(_) => Some(Kind::Sandbox),
            Finding::DeferredConstraint { .. } => Some(Kind::DeferredConstraint),
            Finding::OpenTransaction(_) => Some(Kind::OpenTransaction),
            Finding::LeakedSession(_) => Some(Kind::LeakedSession),
            Finding::AdvisoryLock { .. } => Some(Kind::AdvisoryLock),
            Finding::OtherConnection { .. } => Some(Kind::OtherConnection),
        }
    }

    /// Why it matters, what to write instead, and what that costs.
    fn help(&self) -> String {
        let text = match self {
            Finding::Ended { .. } => {
                "nothing of the test can be rolled back now, so its database is given up and no other test sees it. This \
                 should be impossible through the sandbox: please report what the test did"
            }
            Finding::Written { .. } => {
                "what a connection of the server's own does there (of `dblink`, of a URL made from the database's name) is \
                 not part of ptest's transaction and is not rolled back with it, so the database is given up and no other \
                 test sees it; the next one waits for a clone, or, with PTEST_SINGLE_DATABASE, until it is built anew. Let \
                 the test connect by its parameters or `PgUrl`, or give it real commits with `isolation = \"database\"`, \
                 which costs a clone and the right to create databases"
            }
            Finding::Turn(_) => {
                "the test passed although this error was ptest's: no server gives it, so code that expects an error, or \
                 ignores one, has met the wrong one. The transactions of a test take turns on one connection. Finish or drop \
                 the other session's transaction first, or pass it on to the code that runs this statement; for \
                 transactions that run at the same time, write `isolation = \"database\"`, which costs a clone. Where the \
                 test is about this error, "
            }
            Finding::Sandbox(_) => {
                "the test runs inside one transaction of ptest, and has passed on what a server would have done otherwise. \
                 Write `isolation = \"database\"` in the attribute; it costs a clone. Where it does not matter, "
            }
            Finding::DeferredConstraint { .. } => {
                "a real commit checks what is deferred, and would have failed with this error; ptest's transaction is only \
                 rolled back. Make the data right before the test ends; where they are wrong on purpose, "
            }
            Finding::OpenTransaction(_) => {
                "what is not committed is lost when its connection goes, and no other connection has seen it: the test \
                 passed on what only this transaction saw. Call `commit()` or `rollback()` (dropped together with \
                 its connection, a transaction cannot say that it is rolled back), and wait for tasks that hold one; it \
                 costs nothing. Where it is meant, "
            }
            Finding::LeakedSession(Straggler { connected: true, .. }) => {
                "a thread, a process or a `static` held it when the runtime of the test had ended. It is cut off, and what it \
                 did is undone with everything else; but whether it did it before or after the test looked is a matter of \
                 luck. Join the thread, wait for the process, or drop the pool before the test ends; it costs the \
                 time they take. Where it is meant, "
            }
            Finding::LeakedSession(_) => {
                "the task ended with the runtime of the test, in the middle of its work; whether that was done before the \
                 test looked is a matter of luck. Wait for the task (`JoinHandle`, a channel) before the test ends; it \
                 costs the time it takes. Where it is meant, "
            }
            Finding::AdvisoryLock { .. } => {
                "such a lock lasts until its connection closes, which a pool may never do; ptest releases it with the test, \
                 and until then all sessions of the test share it, also when the one that took it has gone. Call \
                 `pg_advisory_unlock`, or take it with `pg_advisory_xact_lock`; it costs nothing. Where it is meant, "
            }
            Finding::OtherConnection { .. } => {
                "whoever has connected to the server by the name of a leased database is not in ptest's transaction, and may \
                 have committed something. So the connection is ended and the database is given up; the next test waits for a \
                 clone, or, with PTEST_SINGLE_DATABASE, until it is built anew. Look into a database that no test uses, let the test connect by its parameters or `PgUrl`; where it \
                 is meant, "
            }
        };
        match self.kind() {
            Some(kind) => format!("{text}write `audit({} = \"off\")` in the attribute", kind.name()),
            None => text.to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Ended { database } => {
                write!(f, "the test ended the transaction of ptest in database `{database}`")
            }
            Finding::Written { database } => {
                write!(f, "something else than the test's own connections wrote to its database `{database}`")
            }
            Finding::Turn(deviation) => {
                write!(f, "{}, and the test passed", deviation.what)?;
                deviation.write_statement(f)
            }
            Finding::Sandbox(deviation) => {
                write!(f, "session {} was answered as no server would: {}", deviation.session, deviation.what)?;
                deviation.write_statement(f)
            }
            Finding::DeferredConstraint { error } => {
                write!(f, "the test ended with a deferred constraint violated: {error}")
            }
            Finding::OpenTransaction(straggler) => write!(
                f,
                "{} was still in a transaction when the test ended, and last ran: {}",
                straggler.name(),
                one_line(&straggler.sql)
            ),
            Finding::LeakedSession(straggler) => {
                let what = match straggler {
                    Straggler { connected: false, .. } => "was still running a statement of a task",
                    Straggler { in_transaction: true, .. } => "was still open, and in a transaction,",
                    _ => "was still open",
                };
                write!(f, "{} {what} when the test ended", straggler.name())?;
                match &*one_line(&straggler.sql) {
                    "" => Ok(()),
                    sql if straggler.connected => write!(f, ", and last ran: {sql}"),
                    sql => write!(f, ": {sql}"),
                }
            }
            Finding::AdvisoryLock { keys } => {
                let s = if keys.len() == 1 { "" } else { "s" };
                write!(f, "the test ended with {} advisory lock{s} held: {}", keys.len(), keys.join(", "))
            }
            Finding::OtherConnection { database, clients } => {
                write!(f, "somebody else was connected to the test's database `{database}`: {}", clients.join("; "))
            }
        }
    }
}

impl Deviation {
    fn write_statement(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*one_line(&self.sql) {
            "" => {}
            sql => write!(f, ": {sql}")?,
        }
        if self.more > 0 { write!(f, " (and {} more)", self.more) } else { Ok(()) }
    }
}

impl Straggler {
    fn name(&self) -> String {
        self.session.map_or("a connection".to_owned(), |session| format!("session {session}"))
    }
}

impl Failure for AuditError {
    fn help(&self) -> Option<String> {
        match &self.0[..] {
            [only] => Some(only.help()),
            _ => None,
        }
    }
}

/// One finding in its own words, or a list of several, each with its help.
impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.0[..] {
            return only.fmt(f);
        }
        write!(f, "{} things were found when the test was over", self.0.len())?;
        self.0.iter().try_for_each(|finding| write!(f, "\n- {finding}\n  help: {}", finding.help()))
    }
}

impl fmt::Debug for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.help().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

/// A statement on one line, cut at a sane length.
pub(crate) fn one_line(sql: &str) -> String {
    const MOST: usize = 120;
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

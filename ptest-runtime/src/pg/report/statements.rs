//! The statements of a test and the states of its sessions, in columns that a log without colour can be read by.

use std::fmt;
use std::time::{Duration, Instant};

use super::redact::redacted;
use super::values;
use crate::pg::sandbox::{Entry, Failure, Record, Said, SessionState};

/// How many characters of a statement are shown.
const STATEMENT: usize = 400;

/// Where the third column ends.
const INDENT: &str = "                                       ";

/// Writes the statements, oldest first.
pub(super) fn write(f: &mut fmt::Formatter<'_>, record: &Record, name: &str) -> fmt::Result {
    let count = record.entries.len();
    match (count, record.forgotten) {
        (0, _) => return writeln!(f, "ptest: `{name}` has run no statement"),
        (_, 0) => writeln!(f, "ptest: the statements of `{name}`, in order:")?,
        (_, forgotten) => {
            writeln!(f, "ptest: the last {count} of {} statements of `{name}`, in order:", count + forgotten)?
        }
    }
    writeln!(f, "  session       time  result         statement")?;
    record.entries.iter().try_for_each(|entry| write_entry(f, entry))
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    let result = match (&entry.failure, entry.took, entry.rows) {
        _ if entry.skipped => "not run".to_owned(),
        (Some(failure), ..) => format!("error {}", failure.code),
        (None, None, _) => "no answer yet".to_owned(),
        (None, Some(_), Some(1)) => "1 row".to_owned(),
        (None, Some(_), Some(rows)) => format!("{rows} rows"),
        (None, Some(_), None) => "ok".to_owned(),
    };
    let time = entry.took.filter(|_| !entry.skipped).map_or_else(String::new, time_of);
    writeln!(f, "  {:>7}  {time:>9}  {result:<13}  {}", entry.session, text(&entry.said))?;
    let values = values::shown(&entry.said.bind, entry.said.text.types.get().map_or(&[], Vec::as_slice));
    if !values.is_empty() {
        writeln!(f, "{INDENT}{values}")?;
    }
    if entry.waited >= Duration::from_millis(1) {
        writeln!(f, "{INDENT}(had waited {} for its turn)", time_of(entry.waited))?;
    }
    if let Some(failure) = &entry.failure {
        write_failure(f, failure)?;
    }
    Ok(())
}

fn write_failure(f: &mut fmt::Formatter<'_>, failure: &Failure) -> fmt::Result {
    writeln!(f, "{INDENT}{}", lines(&failure.message))?;
    for (label, text) in [("detail", &failure.detail), ("hint", &failure.hint)] {
        if let Some(text) = text {
            writeln!(f, "{INDENT}{label}: {}", lines(text))?;
        }
    }
    match &failure.first {
        Some(first) => writeln!(f, "{INDENT}the error that failed the transaction: {}", summary(first)),
        None => Ok(()),
    }
}

/// Writes what the sessions are at.
pub(super) fn write_sessions(f: &mut fmt::Formatter<'_>, record: &Record, at: Instant) -> fmt::Result {
    let holder =
        record.sessions.iter().find(|s| s.waits.is_none() && (s.status != b'I' || running(record, s).is_some()));
    let mut idle = Vec::new();
    for session in &record.sessions {
        let running = running(record, session);
        let block = match (session.status, &session.failed) {
            (b'E', Some(first)) => format!("in a failed transaction, since {}", summary(first)),
            (b'E', None) => "in a failed transaction".to_owned(),
            (b'T', _) => "in an open transaction".to_owned(),
            _ if running.is_none() && session.waits.is_none() => {
                idle.push(session.id.to_string());
                continue;
            }
            _ => "in no transaction".to_owned(),
        };
        write!(f, "  session {}: {block}", session.id)?;
        let age = |since: Instant| time_of(at.saturating_duration_since(since));
        match (&session.waits, running) {
            (Some((since, said)), _) => {
                write!(f, ", has waited {} for its turn", age(*since))?;
                if !said.text.sql.is_empty() {
                    write!(f, " to run `{}`", text(said))?;
                }
                if let Some(holder) = holder {
                    write!(f, "; session {} has it", holder.id)?;
                }
            }
            (None, Some(entry)) => write!(f, ", has run `{}` for {}", text(&entry.said), age(entry.started))?,
            (None, None) => {}
        }
        writeln!(f)?;
    }
    match &idle[..] {
        [] => Ok(()),
        [one] => writeln!(f, "  session {one}: idle"),
        several => writeln!(f, "  sessions {}: idle", several.join(", ")),
    }
}

/// What a session runs.
fn running<'a>(record: &'a Record, session: &SessionState) -> Option<&'a Entry> {
    record.entries.iter().find(|entry| entry.session == session.id && entry.took.is_none())
}

fn summary(failure: &Failure) -> String {
    format!("{} (SQLSTATE {})", lines(&failure.message), failure.code)
}

/// A statement on one line, unless a comment ends with its line.
pub(super) fn text(said: &Said) -> String {
    let sql = String::from_utf8_lossy(&said.text.sql);
    tidy(&sql, said.text.cut)
}

pub(super) fn tidy(sql: &str, cut: bool) -> String {
    let cut = cut || sql.chars().nth(STATEMENT).is_some();
    let mut head: String = sql.chars().take(STATEMENT).collect();
    head.truncate(head.trim_end().len());
    if cut {
        head.push('…');
    }
    let lines = head.lines().map(str::trim).filter(|line| !line.is_empty());
    let between = if head.contains("--") { format!("\n{INDENT}") } else { " ".to_owned() };
    redacted(&lines.collect::<Vec<_>>().join(&between))
}

fn lines(text: &str) -> String {
    redacted(text).replace('\n', &format!("\n{INDENT}"))
}

pub(super) fn time_of(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        10.0..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

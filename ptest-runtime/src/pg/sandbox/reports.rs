//! Errors and notices of the server, as the client would see them there: its own names, its own positions, and a hint
//! where only the sandbox stands in the way.

use bytes::{BufMut, BytesMut};

use super::control::REAL_COMMITS;
use super::frame::{self, Frame};
use super::script::{REFUSED_NAME, Script};

/// Who gets a report, and where its statement stood.
pub(super) struct Reader<'a> {
    /// Stands before the session's names on the backend.
    pub(super) prefix: &'a str,
    pub(super) script: Option<&'a Script>,
    /// The client is outside of a transaction block, where a server would not have complained of one.
    pub(super) idle: bool,
    /// The statement ran inside a block of ours, where the client's string has it from this character on.
    pub(super) inner: Option<usize>,
}

impl Reader<'_> {
    /// Writes a report.
    pub(super) fn put(&self, frame: &Frame, out: &mut BytesMut) {
        let spliced = self.script.filter(|s| s.sql.is_some());
        let ours = format!("\"{}", self.prefix);
        let renamed = frame.body().windows(ours.len()).any(|w| w == ours.as_bytes());
        let hint = self.hint(frame);
        if spliced.is_none() && !renamed && hint.is_none() && self.inner.is_none() {
            out.extend_from_slice(frame.bytes());
            return;
        }
        frame::put(out, frame.tag(), |b| {
            let mut hint = hint.map(str::to_owned);
            for (kind, value) in frame::report_fields(frame.body()) {
                let text = String::from_utf8_lossy(value);
                if let Some(start) = self.inner {
                    match kind {
                        b'W' | b'q' => continue,
                        b'p' => {
                            b.put_u8(b'P');
                            frame::put_cstr(b, text.parse().map_or(0, |p: usize| p + start).to_string().as_bytes());
                            continue;
                        }
                        _ => {}
                    }
                }
                let text = match (kind, spliced) {
                    (b'P', Some(script)) => text.parse().map_or(0, |p| script.position(p)).to_string(),
                    (b'M', _) if renamed => {
                        let unnamed = format!("prepared statement \"{}\" does", self.prefix);
                        text.replace(&unnamed, "unnamed prepared statement does").replace(&ours, "\"")
                    }
                    (b'H', _) => hint.take().map_or(text.to_string(), |hint| format!("{text} {hint}")),
                    _ => {
                        b.put_u8(kind);
                        frame::put_cstr(b, value);
                        continue;
                    }
                };
                b.put_u8(kind);
                frame::put_cstr(b, text.as_bytes());
            }
            if let Some(hint) = hint {
                b.put_u8(b'H');
                frame::put_cstr(b, hint.as_bytes());
            }
            b.put_u8(0);
        });
    }

    /// What helps where a server of the client's own would have done it.
    fn hint(&self, frame: &Frame) -> Option<&'static str> {
        is_of_sandbox(frame, self.idle).map(|_| REAL_COMMITS)
    }
}

/// Whether a server would not have said this to a client that is `idle` outside of a transaction block, or in one.
pub(super) fn deviates(frame: &Frame, idle: bool) -> bool {
    is_of_sandbox(frame, idle).unwrap_or(false)
}

/// Whether only the sandbox stands in the way of a statement; `None`: it does not, `Some(false)`: it may.
fn is_of_sandbox(frame: &Frame, idle: bool) -> Option<bool> {
    if frame.tag() != b'E' {
        return None;
    }
    let field = |wanted: u8| frame::report_fields(frame.body()).find(|(kind, _)| *kind == wanted).map(|(_, v)| v);
    match field(b'C')? {
        // By the routine, which no server translates. The latter is that of `VACUUM` and its kin.
        b"25001" => match field(b'R')? {
            b"ExportSnapshot" => Some(true),
            b"PreventInTransactionBlock" => idle.then_some(true),
            _ => None,
        },
        // A new value of an enum type, which perhaps an earlier transaction has made; locks of earlier ones.
        b"55P04" | b"53200" => Some(true),
        // A committing procedure; a table in use, or with pending events.
        b"2D000" | b"55006" => Some(idle),
        _ => None,
    }
}

/// The server warns of a portal that was bound in a failed transaction when we roll back to the savepoint below it.
pub(super) fn is_about_rollback(notice: &Frame) -> bool {
    frame::report_fields(notice.body())
        .any(|(kind, text)| kind == b'M' && text.starts_with(b"skipping cleanup for portal"))
}

/// Whether the server's scanner says so, which has read all of a string before the first of it is run.
pub(super) fn is_of_scanner(notice: &Frame) -> bool {
    let codes: [&[u8]; 2] = [b"22P06", b"42622"];
    frame::report_fields(notice.body()).any(|(kind, code)| kind == b'C' && codes.contains(&code))
}

/// Whether the server refused a message of the extended protocol for the names in it, and ran nothing.
pub(super) fn is_refused(error: &Frame) -> bool {
    let codes: [&[u8]; 3] = [b"26000", b"34000", b"42P03"];
    frame::report_fields(error.body()).any(|(kind, code)| kind == b'C' && codes.contains(&code))
}

pub(super) fn is_syntax_error(error: &Frame) -> bool {
    frame::report_fields(error.body()).any(|field| field == (b'C', b"42601"))
}

/// Whether it is the error that we ask for where a statement of the client is refused.
pub(super) fn is_refusal(error: &Frame) -> bool {
    let name = format!("\"{}\"", REFUSED_NAME);
    error.body().windows(name.len()).any(|w| w == name.as_bytes())
}

/// Writes an error that ends the session, from one that the server did not mean so.
///
/// A server that does not know the `user` has a code of its own for it.
pub(super) fn put_fatal(frame: &Frame, user: Option<&str>, out: &mut BytesMut) {
    let quoted = format!("\"{}\"", user.unwrap_or_default());
    let names_user = |text: &[u8]| user.is_some() && text.windows(quoted.len()).any(|w| w == quoted.as_bytes());
    let of_user = frame::report_fields(frame.body()).any(|(kind, text)| kind == b'M' && names_user(text));
    frame::put(out, b'E', |b| {
        for (kind, value) in frame::report_fields(frame.body()) {
            b.put_u8(kind);
            let value = match kind {
                b'S' | b'V' => b"FATAL",
                b'C' if of_user => b"28000",
                _ => value,
            };
            frame::put_cstr(b, value);
        }
        b.put_u8(0);
    });
}

/// The message and code of an error.
pub(super) fn error_text(frame: &Frame) -> String {
    let mut text = String::new();
    for (kind, value) in frame::report_fields(frame.body()) {
        match kind {
            b'M' => text.insert_str(0, &String::from_utf8_lossy(value)),
            b'C' => text.push_str(&format!(" (SQLSTATE {})", String::from_utf8_lossy(value))),
            _ => {}
        }
    }
    text
}

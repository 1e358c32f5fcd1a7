//! What becomes of each message of the backend: whose it is, and what the client sees of it.

use bytes::{BufMut, BytesMut};

use super::control::{self, Answer, Block, Constraints};
use super::expect::{Exchange, Expected, Owner, What};
use super::frame::{self, Frame, Piece, Report};
use super::script::Script;
use super::session::Session;

/// The sandbox can no longer vouch for its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// ptest's own transaction has ended.
    Escaped,
    /// A command of the sandbox failed, or an answer came that nothing asked for.
    Confused(String),
}

impl Session {
    /// Takes the backend's next piece, and writes what the client sees of it.
    pub(super) fn server(&mut self, piece: &Piece, link: &mut Exchange, out: &mut BytesMut) -> Result<(), Lost> {
        let frame = match piece {
            Piece::Data { bytes, .. } => {
                if link.expected.front().is_none_or(|e| e.owner == Owner::Client) {
                    self.release_held(out);
                    out.extend_from_slice(bytes);
                }
                return Ok(());
            }
            Piece::Frame(frame) | Piece::Head(frame) => frame,
        };
        match frame.tag() {
            b'N' | b'S' | b'A' => {
                if link.expected.front().is_none_or(|e| e.owner != Owner::Sandbox) {
                    self.release_held(out);
                    self.put_report(frame, None, out);
                }
            }
            b'E' => self.error(frame, link, out)?,
            b'Z' => self.ready(frame, link, out)?,
            _ => self.answer(frame, link, out)?,
        }
        self.put_local(link, out);
        Ok(())
    }

    /// Writes the answers that need no message of the backend, once everything before them has been answered.
    pub(super) fn put_local(&mut self, link: &mut Exchange, out: &mut BytesMut) {
        while let Some(Expected { what: What::Local { .. }, .. }) = link.expected.front() {
            if let Some(Expected { what: What::Local { bytes, block }, .. }) = link.expected.pop_front() {
                out.extend_from_slice(&bytes);
                self.block = block;
            }
        }
        if let Some(Expected { what: What::Query(script), owner: Owner::Client, .. }) = link.expected.front_mut() {
            put_local_steps(script, &mut self.block, out);
        }
    }

    /// A message inside the answer to the oldest one expected.
    fn answer(&mut self, frame: &Frame, link: &mut Exchange, out: &mut BytesMut) -> Result<(), Lost> {
        let Some(front) = link.expected.front_mut() else {
            return Err(Lost::Confused(format!("nothing asked for message `{}`", frame.tag() as char)));
        };
        let shown = front.owner == Owner::Client;
        let tag = frame.tag();
        let last = match &mut front.what {
            What::One => true,
            What::Describe => tag != b't',
            What::Execute { .. } => matches!(tag, b'C' | b'I' | b's'),
            What::Query(script) => {
                if tag == b'G' {
                    self.copying_in = true;
                }
                self.held_answer(frame, script, out);
                return Ok(());
            }
            What::Sync | What::Commands | What::Gate | What::Local { .. } => false,
        };
        if tag == b'G' {
            self.begin_copy_in(link);
        }
        if last {
            link.expected.pop_front();
        }
        if shown {
            out.extend_from_slice(frame.bytes());
        }
        Ok(())
    }

    /// A server takes no notice of a Sync inside copy-in: another one will follow.
    fn begin_copy_in(&mut self, link: &mut Exchange) {
        self.copying_in = true;
        if self.awaiting {
            link.expected.retain(|e| !matches!(e.what, What::Sync));
            self.awaiting = false;
        }
    }

    /// A message inside the answer to a simple query.
    fn held_answer(&mut self, frame: &Frame, script: &mut Script, out: &mut BytesMut) {
        self.release_held(out);
        let own = script.steps.front().is_none_or(|step| step.answer.is_none());
        let completion = matches!(frame.tag(), b'C' | b'I');
        if own {
            // The last tag of an autocommit string is the client's only when its commit has succeeded.
            let target =
                if completion && *self.constraints.borrow() != Constraints::None { &mut self.held } else { &mut *out };
            target.extend_from_slice(frame.bytes());
        }
        if !completion {
            return;
        }
        let Some(step) = script.steps.front_mut() else { return };
        step.commands = step.commands.saturating_sub(1);
        put_finished_steps(script, &mut self.block, out);
    }

    fn error(&mut self, frame: &Frame, link: &mut Exchange, out: &mut BytesMut) -> Result<(), Lost> {
        let Some(front) = link.expected.front_mut() else {
            self.put_report(frame, None, out);
            return Ok(());
        };
        if front.owner == Owner::Sandbox && !matches!(front.what, What::Gate) {
            return Err(Lost::Confused(error_text(frame)));
        }
        self.copying_in = false;
        self.held.clear();
        match &mut front.what {
            What::Query(script) => {
                let refused = match script.steps.front_mut() {
                    Some(step) => {
                        self.block = step.on_error;
                        match step.answer.take() {
                            Some(Answer::Error(report)) if step.commands <= 1 => Some(report),
                            _ => None,
                        }
                    }
                    None => {
                        self.block = self.block.after_error();
                        None
                    }
                };
                match refused {
                    Some(report) => report.put(out),
                    None => put_error(frame, &self.prefix, Some(script), out),
                }
                script.steps.clear();
            }
            What::Gate => {
                self.block = Block::Idle;
                put_error(frame, &self.prefix, None, out);
            }
            What::Commands => {
                self.block = front.on_error;
                put_error(frame, &self.prefix, None, out);
            }
            what => {
                self.block = front.on_error;
                match what {
                    What::Execute { refused: Some(report) } => report.put(out),
                    _ => put_error(frame, &self.prefix, None, out),
                }
                link.skip_to_sync();
                self.skipping = !self.awaiting;
            }
        }
        Ok(())
    }

    fn ready(&mut self, frame: &Frame, link: &mut Exchange, out: &mut BytesMut) -> Result<(), Lost> {
        let status = frame.body().first().copied().unwrap_or(b'?');
        if status == b'I' {
            return Err(Lost::Escaped);
        }
        let Some(Expected { what, owner, .. }) = link.expected.pop_front() else {
            return Err(Lost::Confused("nothing asked for ReadyForQuery".to_owned()));
        };
        match (what, owner) {
            (What::Commands, Owner::Sandbox) if status == b'T' => {}
            (What::Gate, _) => {
                if status == b'T' {
                    self.release_held(out);
                } else {
                    link.commands(control::UNDO);
                }
                self.finish_batch(Block::Idle, out);
            }
            (_, Owner::Sandbox) => return Err(Lost::Confused(format!("a command of ptest left status {status}"))),
            (_, _) => self.finish_client_batch(status, link, out),
        }
        Ok(())
    }

    /// The end of a batch of the client: what a server would do there is an implicit commit or rollback.
    fn finish_client_batch(&mut self, status: u8, link: &mut Exchange, out: &mut BytesMut) {
        let block = match (self.block, status) {
            (Block::Idle, _) => Block::Idle,
            (_, b'E') => Block::Failed,
            (_, _) => Block::Open,
        };
        if block != Block::Idle {
            self.release_held(out);
            return self.finish_batch(block, out);
        }
        if status == b'E' || self.doomed {
            self.forget_portals();
            link.commands(control::UNDO);
        } else if self.dirty {
            self.close_portals(link, Owner::Sandbox);
            if *self.constraints.borrow() != Constraints::None {
                frame::put_query(&mut link.out, control::keep(&self.constraints.borrow()).join(";").as_bytes());
                return link.expect(What::Gate, Owner::Part, Block::Idle);
            }
            link.commands(&control::KEEP.join(";"));
        }
        self.release_held(out);
        self.finish_batch(Block::Idle, out);
    }

    fn finish_batch(&mut self, block: Block, out: &mut BytesMut) {
        self.block = block;
        self.awaiting = false;
        self.batch_open = false;
        self.skipping = false;
        self.copying_in = false;
        self.dirty = false;
        self.executed = false;
        frame::put_ready(out, block.status());
    }

    fn release_held(&mut self, out: &mut BytesMut) {
        if !self.held.is_empty() {
            out.extend_from_slice(&self.held.split());
        }
    }

    fn put_report(&self, frame: &Frame, script: Option<&Script>, out: &mut BytesMut) {
        if frame.tag() == b'S' {
            out.extend_from_slice(frame.bytes());
        } else {
            put_error(frame, &self.prefix, script, out);
        }
    }
}

/// Pops the steps at the front that need nothing more of the backend.
fn put_finished_steps(script: &mut Script, block: &mut Block, out: &mut BytesMut) {
    if script.steps.front().is_some_and(|step| step.commands == 0) {
        put_step(script, block, out);
        put_local_steps(script, block, out);
    }
}

fn put_local_steps(script: &mut Script, block: &mut Block, out: &mut BytesMut) {
    while script.steps.front().is_some_and(|step| step.commands == 0) {
        put_step(script, block, out);
    }
}

fn put_step(script: &mut Script, block: &mut Block, out: &mut BytesMut) {
    let Some(step) = script.steps.pop_front() else { return };
    *block = step.block;
    if let Some(warning) = step.warning {
        warning.put(out);
    }
    if let Some(Answer::Tag(tag)) = step.answer {
        frame::put_tag(out, tag);
    }
}

/// Writes an error or a notice of the server as the client would see it there: its own names, its own positions.
fn put_error(frame: &Frame, prefix: &str, script: Option<&Script>, out: &mut BytesMut) {
    let spliced = script.filter(|s| s.sql.is_some());
    let ours = format!("\"{prefix}");
    let renamed = frame.body().windows(ours.len()).any(|w| w == ours.as_bytes());
    if spliced.is_none() && !renamed {
        out.extend_from_slice(frame.bytes());
        return;
    }
    frame::put(out, frame.tag(), |b| {
        for (kind, value) in frame::report_fields(frame.body()) {
            b.put_u8(kind);
            match (kind, spliced, std::str::from_utf8(value)) {
                (b'P', Some(script), Ok(text)) => {
                    let position = text.parse().map_or(0, |p| script.position(p));
                    frame::put_cstr(b, position.to_string().as_bytes());
                }
                (b'M', _, Ok(text)) => {
                    let unnamed = format!("prepared statement \"{prefix}\"");
                    let text = text.replace(&unnamed, "unnamed prepared statement").replace(&ours, "\"");
                    frame::put_cstr(b, text.as_bytes());
                }
                _ => frame::put_cstr(b, value),
            }
        }
        b.put_u8(0);
    });
}

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

impl Lost {
    /// The last error of a session that cannot go on.
    pub(super) fn report(&self) -> Report {
        Report::fatal(
            if *self == Lost::Escaped { "PT002" } else { "PT003" },
            format!("the test's database is given up: {self}"),
        )
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lost::Escaped => f.write_str("the transaction of ptest has ended"),
            Lost::Confused(what) => f.write_str(what),
        }
    }
}

//! What becomes of each message of the backend: whose it is, and what the client sees of it.

use bytes::BytesMut;

use super::action::Answer;
use super::belief::Belief;
use super::commit::DECLARED;
use super::constraints::Constraints;
use super::control::{self, Block};
use super::expect::{Exchange, Expected, Owner, Run, What};
use super::frame::{self, Frame, Piece, Report};
use super::reports::{self, Reader, error_text};
use super::script::{Script, Step};
use super::session::Session;
use super::settings::{self, Settings};

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
                self.rows(bytes, link, out);
                return Ok(());
            }
            Piece::Frame(frame) | Piece::Head(frame) => frame,
        };
        match frame.tag() {
            b'N' | b'A' => {
                let shown = link.expected.front().is_none_or(|e| e.owner != Owner::Sandbox);
                if shown && !reports::is_about_rollback(frame) {
                    // What a trigger says at a commit comes before the tag.
                    if !matches!(link.expected.front(), Some(Expected { what: What::Gate, .. })) {
                        self.release_held(out);
                    }
                    if let Some(Expected { what: What::Query(script), .. }) = link.expected.front_mut()
                        && !reports::is_of_scanner(frame)
                        && let Some(warning) = script.steps.front_mut().and_then(|step| step.warning.take())
                    {
                        warning.put(out);
                    }
                    // The parser warns of what stands in the string that it was sent.
                    let script = link.expected.front().and_then(|expected| match &expected.what {
                        What::Query(script) => Some(&**script),
                        _ => None,
                    });
                    self.reader(script).put(frame, out);
                }
            }
            b'S' => self.parameter(frame, link),
            b'E' => self.error(frame, link, out)?,
            b'Z' => self.ready(frame, link, out)?,
            _ => self.answer(frame, link, out)?,
        }
        self.put_local(link, out);
        Ok(())
    }

    /// Rows and copy data, in portions.
    fn rows(&mut self, bytes: &[u8], link: &mut Exchange, out: &mut BytesMut) {
        match link.expected.front_mut() {
            Some(Expected { what: What::Snapshot { rows } | What::Constraints { rows, .. }, .. }) => {
                rows.extend_from_slice(bytes);
            }
            Some(Expected { what: What::Query(script), owner: Owner::Client, .. }) if !script.at_own() => {}
            Some(Expected { owner: Owner::Part | Owner::Sandbox, .. }) => {}
            _ => {
                self.release_held(out);
                out.extend_from_slice(bytes);
            }
        }
    }

    /// The server reports a parameter of the session that has the turn. It does so before each `ReadyForQuery`; the
    /// client hears at its own what has changed since it was last told.
    fn parameter(&mut self, frame: &Frame, link: &mut Exchange) {
        let Some((name, value)) = link.loaded.report(frame) else { return };
        if name == "standard_conforming_strings" {
            let on = value == "on";
            for belief in [&mut self.settled, &mut self.belief] {
                if belief.defaults.standard_strings != on {
                    *belief = belief.with_defaults(|defaults| defaults.standard_strings = on, false);
                }
            }
        }
        if link.expected.front().is_none_or(|e| e.owner != Owner::Sandbox) {
            self.reports.insert(name, value);
        }
    }

    /// Writes the answers that need no message of the backend, once everything before them has been answered.
    pub(super) fn put_local(&mut self, link: &mut Exchange, out: &mut BytesMut) {
        while let Some(Expected { what: What::Local { .. }, .. }) = link.expected.front() {
            if let Some(Expected { what: What::Local { bytes, belief }, .. }) = link.expected.pop_front() {
                out.extend_from_slice(&bytes);
                self.settled = belief;
            }
        }
        if let Some(Expected { what: What::Query(script), owner: Owner::Client, .. }) = link.expected.front_mut() {
            put_finished_steps(script, &mut self.settled, out, None);
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
            What::Name(_) => {
                self.unanswered.pop_front();
                true
            }
            What::Describe => tag != b't',
            What::Execute(_) => matches!(tag, b'C' | b'I' | b's'),
            What::Query(script) => {
                if tag == b'G' {
                    self.copying_in = true;
                }
                self.held_answer(frame, script, out);
                return Ok(());
            }
            What::Sync
            | What::Commands
            | What::Gate
            | What::Check
            | What::Local { .. }
            | What::Snapshot { .. }
            | What::Constraints { .. } => false,
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
        self.copy_begun = false;
        self.flushed = false;
        if self.awaiting {
            link.expected.retain(|e| !matches!(e.what, What::Sync));
            self.awaiting = false;
        }
    }

    /// A message inside the answer to a simple query.
    fn held_answer(&mut self, frame: &Frame, script: &mut Script, out: &mut BytesMut) {
        self.release_held(out);
        let completion = matches!(frame.tag(), b'C' | b'I');
        // The last tag of an autocommit string is the client's only when its commit has succeeded.
        let last = script.steps.len() <= 1 && script.steps.front().is_none_or(|s| s.after.block == Block::Idle);
        let after = script.steps.front().map_or(&self.settled, |step| &step.after);
        let gated = completion && last && !self.duties.borrow().is_plain(self.touched, after);
        let mut held = gated.then_some(&mut self.held);
        if script.at_own() {
            if completion && let Some(warning) = script.steps.front_mut().and_then(|step| step.warning.take()) {
                warning.put(out);
            }
            held.as_deref_mut().unwrap_or(out).extend_from_slice(frame.bytes());
        }
        if !completion {
            return;
        }
        let Some(step) = script.steps.front_mut() else { return };
        step.commands = step.commands.saturating_sub(1);
        put_finished_steps(script, &mut self.settled, out, held);
    }

    fn error(&mut self, frame: &Frame, link: &mut Exchange, out: &mut BytesMut) -> Result<(), Lost> {
        let Some(front) = link.expected.front_mut() else {
            self.reader(None).put(frame, out);
            return Ok(());
        };
        if matches!(front.what, What::Check) {
            self.duties.borrow_mut().deviations.violated(error_text(frame));
            return Ok(());
        }
        if front.owner == Owner::Sandbox && !matches!(front.what, What::Gate) {
            return Err(Lost::Confused(error_text(frame)));
        }
        if reports::deviates(frame, self.settled.block == Block::Idle) {
            self.note_deviation(&error_text(frame));
        }
        self.copying_in = false;
        self.copy_begun = false;
        self.held.clear();
        let refused = reports::is_refused(frame) && !matches!(front.what, What::Query(_));
        let on_error = front.on_error.take().filter(|_| !refused).unwrap_or_else(|| self.settled.failed());
        match &mut front.what {
            What::Query(script) => {
                let step = script.steps.pop_front();
                // Of a string with a syntax error, nothing has run.
                if !reports::is_syntax_error(frame) {
                    step.iter().filter_map(|step| step.warning.as_ref()).for_each(|warning| warning.put(out));
                }
                let run = step.as_ref().filter(|_| !reports::is_syntax_error(frame));
                let on_error = run.map_or(on_error, |step| step.on_error.clone());
                match step {
                    Some(Step { answer: Some(Answer::Error(report)), .. }) if reports::is_refusal(frame) => {
                        self.put_refusal(&report, out);
                    }
                    step => {
                        let held = step.filter(|step| step.answer == Some(Answer::Tag(DECLARED)));
                        Reader { inner: held.map(|step| step.start), ..self.reader(Some(script)) }.put(frame, out);
                    }
                }
                script.steps.clear();
                self.fail(on_error);
            }
            What::Gate | What::Commands => {
                self.reader(None).put(frame, out);
                self.fail(on_error);
            }
            what => {
                match what {
                    What::Execute(Run::Refused(report)) => self.put_refusal(report, out),
                    what => {
                        let held = matches!(what, What::Execute(Run::Declaration));
                        let script = match what {
                            What::Name(script) => script.as_deref(),
                            What::Execute(Run::Renamed(script)) => Some(&**script),
                            _ => None,
                        };
                        Reader { inner: held.then_some(0), ..self.reader(script) }.put(frame, out);
                    }
                }
                self.revert_names();
                self.fail(on_error);
                link.skip_to_sync();
                // Queries without a Sync before them are skipped as well.
                self.awaiting = !link.expected.is_empty();
                self.skipping = !self.awaiting;
            }
        }
        Ok(())
    }

    /// Writes an error of the sandbox's in the server's place.
    fn put_refusal(&self, report: &Report, out: &mut BytesMut) {
        if report.hint.as_deref().is_some_and(|hint| hint.ends_with(control::REAL_COMMITS)) {
            self.note_deviation(&report.message);
        }
        report.put(out);
    }

    /// Notes that the client is told what a server would not tell it.
    fn note_deviation(&self, what: &str) {
        self.duties.borrow_mut().deviations.note(self.id, what, &self.last_sql);
    }

    fn fail(&mut self, belief: Belief) {
        self.belief = belief.clone();
        self.settled = belief;
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
            (What::Check, _) => {}
            (What::Snapshot { rows }, _) if status == b'T' => {
                let loaded = &mut link.loaded;
                loaded.settings = Settings::of_snapshot(settings::text_rows(&rows), &loaded.user);
                loaded.pending = false;
            }
            (What::Constraints { rows }, _) if status == b'T' => {
                link.loaded.constraints = Some(Constraints::of_answer(settings::text_rows(&rows)));
            }
            (What::Gate, _) => {
                let kept = status == b'T';
                if kept {
                    self.release_held(out);
                } else {
                    link.commands(control::UNDO);
                }
                self.finish_batch(self.settled.ended(kept), link, out);
            }
            (_, Owner::Sandbox) => return Err(Lost::Confused(format!("a command of ptest left status {status}"))),
            (_, _) => self.finish_client_batch(status, link, out),
        }
        Ok(())
    }

    /// The end of a batch of the client: what a server would do there is an implicit commit or rollback.
    fn finish_client_batch(&mut self, status: u8, link: &mut Exchange, out: &mut BytesMut) {
        if self.settled.block != Block::Idle {
            let block = if status == b'E' { Block::Failed } else { Block::Open };
            self.release_held(out);
            return self.finish_batch(self.settled.at(block), link, out);
        }
        let kept = status != b'E' && !self.doomed;
        if !kept || self.dirty {
            if std::mem::take(&mut self.unnamed_portal) {
                link.close(b'P', b"", What::One, Owner::Sandbox);
            }
            let commands = if kept { self.keep(link) } else { control::UNDO.to_owned() };
            let plain = self.duties.borrow().is_plain(self.touched, &self.settled);
            if !plain && (kept || self.touched) {
                frame::put_query(&mut link.out, commands.as_bytes());
                return link.expect(What::Gate, Owner::Part);
            }
            link.commands(&commands);
        }
        self.release_held(out);
        self.finish_batch(self.settled.ended(kept), link, out);
    }

    fn finish_batch(&mut self, mut belief: Belief, link: &mut Exchange, out: &mut BytesMut) {
        if belief.block == Block::Idle {
            self.forget_portals();
            self.touched = false;
            let changes = std::mem::take(&mut belief.changes);
            link.changed(&changes, &self.initial, &self.duties.borrow().custom);
            link.constraints(&mut self.duties.borrow_mut().constraints);
        }
        self.settled = belief.clone();
        self.awaiting = false;
        self.batch_open = false;
        self.skipping = false;
        self.copying_in = false;
        self.dirty = false;
        self.put_ready(&belief, out);
        self.belief = belief;
    }

    fn release_held(&mut self, out: &mut BytesMut) {
        if !self.held.is_empty() {
            out.extend_from_slice(&self.held.split());
        }
    }

    fn reader<'a>(&'a self, script: Option<&'a Script>) -> Reader<'a> {
        Reader { prefix: &self.prefix, script, idle: self.settled.block == Block::Idle, inner: None }
    }
}

impl Script {
    /// Whether the next answer of the backend is to a statement of the client's own.
    fn at_own(&self) -> bool {
        self.steps.front().map_or(self.empty, |step| step.answer.is_none())
    }
}

/// Answers the steps at the front that need nothing more of the backend; the tag may be `held`.
fn put_finished_steps(script: &mut Script, settled: &mut Belief, out: &mut BytesMut, mut held: Option<&mut BytesMut>) {
    while script.steps.front().is_some_and(|step| step.commands == 0) {
        let Some(step) = script.steps.pop_front() else { return };
        *settled = step.after;
        if let Some(warning) = step.warning {
            warning.put(out);
        }
        if let Some(answer) = step.answer {
            answer.put_rows(true, out);
            answer.put_end(held.as_deref_mut().unwrap_or(out));
        }
    }
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

//! The tap: sits at the client's end of a session and only watches. What it notes in the log is what the client sent and
//! was answered, whatever the sandbox made of it.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame::{self, Frame};
use super::log::{Failure, Log, Said, TEXT, Text};

/// How many names of prepared statements and of portals are known.
const NAMES: usize = 1000;

/// What watches one client.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    /// `None`: the client has no session yet.
    log: Option<Rc<Log>>,
    session: u32,
    statements: HashMap<Vec<u8>, Arc<Text>>,
    portals: HashMap<Vec<u8>, Arc<Said>>,
    /// What the client has sent that has had no answer.
    pending: VecDeque<Pending>,
    /// After an error, the server takes no notice of anything before the next Sync.
    skipping: bool,
    /// A wait for the turn that no statement has been charged with.
    waited: Duration,
    /// How many of the bytes that wait for the client have been looked at.
    seen: usize,
    /// How many the frame looked at last still lacks.
    rest: usize,
}

#[derive(Debug)]
enum Pending {
    Parse(Arc<Text>, Instant),
    Bind(Arc<Said>, Instant),
    Describe(Option<Arc<Text>>),
    Close,
    Execute(usize),
    Query(usize),
    Sync,
}

impl Tap {
    /// The client has become a session.
    pub(crate) fn begin(&mut self, log: &Rc<Log>, session: u32) {
        log.session(session, |_| {});
        self.log = Some(Rc::clone(log));
        self.session = session;
    }

    /// The session waits for the turn to run this.
    pub(crate) fn waits(&mut self, sql: &str) {
        let Some(log) = &self.log else { return };
        let said = Said { text: Text::new(sql.as_bytes()), bind: Vec::new() };
        log.session(self.session, |session| session.waits = Some((Instant::now(), said)));
    }

    /// The wait is over.
    pub(crate) fn waited(&mut self) {
        let Some(log) = &self.log else { return };
        let mut waited = Duration::ZERO;
        log.session(self.session, |session| {
            waited = session.waits.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
        });
        match self.pending.front() {
            Some(Pending::Query(number) | Pending::Execute(number)) => log.with(*number, |entry| {
                entry.waited = waited;
                entry.started += waited;
            }),
            _ => self.waited = waited,
        }
    }

    /// The client has sent a frame.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        let Some(log) = self.log.clone() else { return };
        if self.skipping && frame.tag() != b'S' {
            return;
        }
        let mut body = frame.body();
        let mut name = || frame::take_cstr(&mut body).unwrap_or_default();
        let pending = match frame.tag() {
            b'Q' => Pending::Query(self.run(&log, Said { text: Text::new(name()), bind: Vec::new() }.into())),
            b'F' => {
                Pending::Query(self.run(&log, Said { text: Text::new(b"(a function call)"), bind: Vec::new() }.into()))
            }
            b'P' => {
                let (name, text) = (name(), Text::new(name()));
                text.know_types(body);
                remember(&mut self.statements, name, Arc::clone(&text));
                Pending::Parse(text, Instant::now())
            }
            b'B' => {
                let (portal, name) = (name(), name());
                let text = self.statements.get(name).map_or_else(|| Text::unknown(name), Arc::clone);
                let said = Arc::new(Said { text, bind: body[..body.len().min(TEXT)].to_vec() });
                remember(&mut self.portals, portal, Arc::clone(&said));
                Pending::Bind(said, Instant::now())
            }
            b'D' => Pending::Describe(match name().split_first() {
                Some((b'S', name)) => self.statements.get(name).cloned(),
                _ => None,
            }),
            b'C' => {
                match name().split_first() {
                    Some((b'S', name)) => drop(self.statements.remove(name)),
                    Some((_, name)) => drop(self.portals.remove(name)),
                    None => {}
                }
                Pending::Close
            }
            b'E' => {
                let portal = name();
                let said = self.portals.get(portal).cloned();
                let unknown = || Said { text: Text::unknown(portal), bind: Vec::new() }.into();
                Pending::Execute(self.run(&log, said.unwrap_or_else(unknown)))
            }
            b'S' => {
                self.skipping = false;
                Pending::Sync
            }
            _ => return,
        };
        self.pending.push_back(pending);
    }

    fn run(&mut self, log: &Log, said: Arc<Said>) -> usize {
        log.begin(self.session, said, Instant::now(), std::mem::take(&mut self.waited))
    }

    /// These bytes wait for the client: looks at what has come since the last time. A frame without rows is never cut.
    pub(crate) fn look(&mut self, out: &[u8]) {
        let Some(log) = self.log.clone() else { return };
        let mut new = &out[self.seen.min(out.len())..];
        self.seen = out.len();
        while !new.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(new.len());
                self.rest -= skipped;
                new = &new[skipped..];
                continue;
            }
            let Some((tag, total)) = frame::header(new).ok().flatten() else { return };
            if total > new.len() {
                self.rest = total - new.len();
                return;
            }
            self.answered(&log, tag, &new[5..total]);
            new = &new[total..];
        }
    }

    /// Some of those bytes have gone.
    pub(crate) fn left(&mut self, waiting: usize) {
        self.seen = waiting;
    }

    fn answered(&mut self, log: &Log, tag: u8, body: &[u8]) {
        match (tag, self.pending.front()) {
            (b'C', Some(Pending::Query(number) | Pending::Execute(number))) => {
                log.with(*number, |entry| entry.rows = rows(body).or(entry.rows));
                self.end_execute(log);
            }
            (b'I' | b's', Some(Pending::Execute(_))) => self.end_execute(log),
            (b't', Some(Pending::Describe(Some(text)))) => text.know_types(body),
            (b'1', Some(Pending::Parse(..)))
            | (b'2', Some(Pending::Bind(..)))
            | (b'3', Some(Pending::Close))
            | (b'T' | b'n', Some(Pending::Describe(_))) => drop(self.pending.pop_front()),
            // Inside copy-in a Sync has no answer.
            (b'G', _) => self.pending.retain(|pending| !matches!(pending, Pending::Sync)),
            (b'E', _) => self.failed(log, body),
            (b'Z', _) => self.ready(log, body.first().copied().unwrap_or(b'I')),
            _ => {}
        }
    }

    fn end_execute(&mut self, log: &Log) {
        if let Some(Pending::Execute(number)) = self.pending.front() {
            log.finish(*number);
            self.pending.pop_front();
        }
    }

    fn failed(&mut self, log: &Log, body: &[u8]) {
        let mut failure = Failure::read(body);
        log.session(self.session, |session| {
            if failure.code == "25P02" {
                failure.first.clone_from(&session.failed);
            }
        });
        let failure = Arc::new(failure);
        log.session(self.session, |session| {
            session.failed.get_or_insert_with(|| Arc::clone(&failure));
        });
        let number = self.failed_statement(log);
        if let Some(number) = number {
            log.with(number, |entry| entry.failure = Some(failure));
            log.finish(number);
        }
        if !matches!(self.pending.front(), Some(Pending::Query(_))) {
            while !matches!(self.pending.front(), None | Some(Pending::Sync)) {
                if let Some(Pending::Execute(skipped)) = self.pending.pop_front() {
                    log.with(skipped, |entry| entry.skipped = entry.failure.is_none());
                    log.finish(skipped);
                }
            }
            self.skipping = self.pending.is_empty();
        }
    }

    /// The statement that an error belongs to: one that runs, else one that was only to be prepared.
    fn failed_statement(&mut self, log: &Log) -> Option<usize> {
        let batch = self.pending.iter().take_while(|pending| !matches!(pending, Pending::Sync));
        let mut runs = batch.filter_map(|pending| match pending {
            Pending::Query(number) | Pending::Execute(number) => Some(*number),
            _ => None,
        });
        if let Some(number) = runs.next() {
            return Some(number);
        }
        let (said, started) = match self.pending.front() {
            Some(Pending::Parse(text, started)) => (Said { text: Arc::clone(text), bind: Vec::new() }.into(), *started),
            Some(Pending::Bind(said, started)) => (Arc::clone(said), *started),
            // The commit of a batch, or the end of the session.
            _ => return log.last_of(self.session),
        };
        Some(log.begin(self.session, said, started, std::mem::take(&mut self.waited)))
    }

    fn ready(&mut self, log: &Log, status: u8) {
        while let Some(pending) = self.pending.pop_front() {
            if let Pending::Query(number) | Pending::Execute(number) = pending {
                log.finish(number);
            }
            if matches!(pending, Pending::Query(_) | Pending::Sync) {
                break;
            }
        }
        log.session(self.session, |session| {
            session.status = status;
            if status != b'E' {
                session.failed = None;
            }
        });
    }
}

/// The number of rows in a command tag, where it has one.
fn rows(tag: &[u8]) -> Option<u64> {
    std::str::from_utf8(tag).ok()?.trim_end_matches('\0').rsplit_once(' ')?.1.parse().ok()
}

fn remember<T>(names: &mut HashMap<Vec<u8>, T>, name: &[u8], meaning: T) {
    if names.len() == NAMES {
        names.clear();
    }
    names.insert(name.to_vec(), meaning);
}

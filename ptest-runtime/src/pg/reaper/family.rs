//! A family: the databases of one fingerprint, what kind each is, and which of them are garbage.
//!
//! Nothing here asks a server; so it can be said in one place what proves that a database may be dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::kept::KEPT;
use crate::pg::clone::claim::State;
use crate::pg::server::Rows;
use crate::pg::template::{KEPT_MARK, MARK, PREFIX, UNUSED_SINCE};

/// The databases of one fingerprint, whose template is ptest's beyond doubt.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) databases: Vec<Database>,
    /// What follows ptest's mark in the template's comment.
    pub(super) noted: String,
    /// The server's time, in seconds.
    pub(super) now: u64,
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether it takes connections.
    open: bool,
    /// Whether it has backends, or prepared transactions.
    busy: bool,
    /// Whether the lock with its number is held.
    locked: bool,
    /// How often it was used, in a form that is only ever compared.
    used: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Template,
    Slot,
    Spare,
    Used,
    /// One of either, on ptest's own server.
    Claimed,
    /// A template under construction.
    Build,
    /// A slot that was given up.
    Detached,
    /// Kept for the user, since this time of the server's, in microseconds.
    Kept(u64),
    Foreign,
}

/// What to do about a family's note.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing has changed since, and not for long enough.
    Fresh,
    /// There was use: note it, in a new comment.
    Write(String),
    /// Nothing has changed for so long.
    Unused,
}

impl Family {
    /// What nobody will use, and nobody is connected to.
    pub(super) fn garbage(&self) -> impl Iterator<Item = &Database> {
        let garbage = |d: &&Database| {
            let dead = match d.kind {
                Kind::Used => !d.locked,
                // Its clone was never completed.
                Kind::Spare => !d.open && !d.locked,
                // Where there is a template, nobody builds one.
                Kind::Build | Kind::Detached => true,
                Kind::Kept(micros) => self.now.saturating_sub(micros / 1_000_000) >= KEPT.as_secs(),
                Kind::Template | Kind::Slot | Kind::Claimed | Kind::Foreign => false,
            };
            dead && !d.busy
        };
        self.databases.iter().filter(garbage)
    }

    /// Adds what the files say that stand for databases of tests; without them nothing is known of such a database.
    pub(super) fn claimed(&mut self, claims: &[(u64, State)]) {
        for database in self.databases.iter_mut().filter(|d| d.kind == Kind::Claimed) {
            let state = claims.iter().find(|(number, _)| Some(*number) == database.number()).map(|(_, state)| *state);
            database.kind = if state == Some(State::Spare) { Kind::Spare } else { Kind::Used };
            database.locked |= state == Some(State::Held);
        }
    }

    pub(super) fn note(&self, unused: Duration) -> Note {
        let used: Vec<&str> = self.databases.iter().map(|d| d.used.as_str()).collect();
        let used = used.join(" ");
        let in_use = self.databases.iter().any(|d| d.busy || d.locked);
        let (kept, noted) = self.noted.split_once(UNUSED_SINCE).unwrap_or((&self.noted, ""));
        match noted.split_once(": ") {
            Some((since, then)) if then == used && !in_use => match since.parse::<u64>() {
                Ok(since) if self.now.saturating_sub(since) >= unused.as_secs() => Note::Unused,
                _ => Note::Fresh,
            },
            _ => Note::Write(format!("{MARK}{kept}{UNUSED_SINCE}{}: {used}", self.now)),
        }
    }
}

impl Database {
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// The number at the end of its name.
    pub(super) fn number(&self) -> Option<u64> {
        u64::from_str_radix(self.name.rsplit_once('_')?.1, 16).ok()
    }
}

/// The families that have a template with ptest's mark.
pub(super) fn marked_families(rows: Rows) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut marked = Vec::new();
    for row in rows {
        let Ok([name, open, busy, locked, used, comment, now]) = <[_; 7]>::try_from(row) else { continue };
        let (Some(name), Some(now)) = (name, now.and_then(|now| now.parse().ok())) else { continue };
        let Some((fingerprint, rest)) = name.strip_prefix(PREFIX).and_then(|name| name.split_once('_')) else {
            continue;
        };
        let is = |value: Option<String>| value.as_deref() != Some("f");
        let (fingerprint, mut kind) = (fingerprint.to_owned(), Kind::of(rest));
        if matches!(kind, Kind::Kept(_)) && comment.as_deref() != Some(KEPT_MARK) {
            kind = Kind::Foreign;
        }
        let family = families.entry(fingerprint.clone()).or_default();
        family.now = now;
        if let (Kind::Template, Some(noted)) = (kind, comment.as_deref().and_then(|text| text.strip_prefix(MARK))) {
            family.noted = noted.to_owned();
            marked.push(fingerprint);
        }
        let used = used.unwrap_or_default();
        family.databases.push(Database { name, kind, open: is(open), busy: is(busy), locked: is(locked), used });
    }
    families.retain(|fingerprint, _| marked.contains(fingerprint));
    families
}

impl Kind {
    /// Its name for the user.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Template => "template",
            Kind::Slot => "slot",
            Kind::Spare => "spare",
            Kind::Used | Kind::Claimed => "used",
            Kind::Build => "build",
            Kind::Detached => "detached",
            Kind::Kept(_) => "kept",
            Kind::Foreign => "foreign",
        }
    }

    /// The kind of a database by what follows the fingerprint in its name.
    pub(super) fn of(rest: &str) -> Kind {
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match rest.split('_').collect::<Vec<_>>()[..] {
            ["template"] => Kind::Template,
            [number] if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => Kind::Slot,
            ["warm", number] if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => Kind::Slot,
            ["spare", number] if hex(number) && number.len() == 16 => Kind::Spare,
            ["used", number] if hex(number) && number.len() == 16 => Kind::Used,
            ["claimed", number] if hex(number) && number.len() == 16 => Kind::Claimed,
            ["build", process, time] if hex(process) && hex(time) => Kind::Build,
            ["detached", number] if hex(number) => Kind::Detached,
            ["kept", micros] if hex(micros) && micros.len() == 16 => {
                u64::from_str_radix(micros, 16).map_or(Kind::Foreign, Kind::Kept)
            }
            _ => Kind::Foreign,
        }
    }
}

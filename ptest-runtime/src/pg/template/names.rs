//! The names of ptest's databases.

/// What every database of ptest begins with.
pub(crate) const PREFIX: &str = "ptest_";

pub(crate) fn template_name(fingerprint: &str) -> String {
    format!("{PREFIX}{fingerprint}_template")
}

pub(crate) fn slot_name(fingerprint: &str, slot: u32) -> String {
    format!("{PREFIX}{fingerprint}_{slot}")
}

/// A slot whose sessions are the server's own.
pub(crate) fn warm_name(fingerprint: &str, slot: u32) -> String {
    format!("{PREFIX}{fingerprint}_warm_{slot}")
}

/// A clone that nobody has used yet, on a server of the user's. Its number is the key of its lock.
pub(crate) fn spare_name(fingerprint: &str, number: u64) -> String {
    format!("{PREFIX}{fingerprint}_spare_{number:016x}")
}

/// A clone on ptest's own server, of which its claim says whether it is a spare or a test has it. A name of its own: who comes
/// to that server by a URL knows nothing of claims.
pub(crate) fn claimed_name(fingerprint: &str, number: u64) -> String {
    format!("{PREFIX}{fingerprint}_claimed_{number:016x}")
}

/// A clone that one test uses, or has used.
pub(crate) fn used_name(fingerprint: &str, number: u64) -> String {
    format!("{PREFIX}{fingerprint}_used_{number:016x}")
}

/// Where the note of the reaper begins in a template's comment.
pub(crate) const UNUSED_SINCE: &str = "; unused since ";

/// The comment of a database that is kept.
pub(crate) const KEPT_MARK: &str = "kept by ptest for a day";

/// A database that is kept for the user; `micros` is the server's time in microseconds. `family` is what the names of its
/// template and of its slots begin with.
pub(crate) fn kept_name(family: &str, micros: u64) -> String {
    format!("{family}_kept_{micros:016x}")
}

/// A name that nothing else has: for a template under construction.
pub(crate) fn private_name(fingerprint: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{PREFIX}{fingerprint}_build_{:x}_{:x}", std::process::id(), now.as_nanos() as u64)
}

/// What the names of a slot and of its template begin with.
pub(crate) fn family_of(slot: &str) -> &str {
    slot.rsplit_once('_').map_or(slot, |(family, _)| family)
}

//! The names of ptest's databases.

/// What every database of ptest begins with.
pub(crate) const PREFIX: &str = "ptest_";

pub(crate) fn template_name(fingerprint: &str) -> String {
    format!("{PREFIX}{fingerprint}_template")
}

pub(crate) fn slot_name(fingerprint: &str, slot: u32) -> String {
    format!("{PREFIX}{fingerprint}_{slot}")
}

/// A clone that nobody has used yet. Its number is the key of its lock.
pub(crate) fn spare_name(fingerprint: &str, number: u64) -> String {
    format!("{PREFIX}{fingerprint}_spare_{number:016x}")
}

/// A clone that one test uses, or has used.
pub(crate) fn used_name(fingerprint: &str, number: u64) -> String {
    format!("{PREFIX}{fingerprint}_used_{number:016x}")
}

/// A name that nothing else has: for a template under construction.
pub(crate) fn private_name(fingerprint: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{PREFIX}{fingerprint}_build_{:x}_{:x}", std::process::id(), now.as_nanos() as u64)
}

//! The names of ptest's databases.

/// What every database of ptest begins with.
pub(crate) const PREFIX: &str = "ptest_";

pub(crate) fn template_name(fingerprint: &str) -> String {
    format!("{PREFIX}{fingerprint}_template")
}

pub(crate) fn slot_name(fingerprint: &str, slot: u32) -> String {
    format!("{PREFIX}{fingerprint}_{slot}")
}

/// A name that nothing else has: for a template under construction.
pub(crate) fn private_name(fingerprint: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}{:x}_{:x}", private_prefix(fingerprint), std::process::id(), now.as_nanos() as u64)
}

/// What every private name of a fingerprint begins with.
pub(crate) fn private_prefix(fingerprint: &str) -> String {
    format!("{PREFIX}{fingerprint}_build_")
}

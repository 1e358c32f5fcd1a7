//! A random number.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that nobody can guess, and that nobody else has.
pub(crate) fn random() -> u64 {
    // The standard library seeds each hasher's keys from the system's randomness.
    RandomState::new().build_hasher().finish()
}

//! What the user is told while he waits.

use std::io::Write;

/// Tells the user about a step that takes long, at once: past the runner's capture of a test's output.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "ptest: {text}");
}

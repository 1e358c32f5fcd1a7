//! A stamp: a file whose time says when something was done last.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Whether something was done last longer than `period` ago, as the stamp `name` in a folder tells, which is then set.
pub(crate) fn is_due(folder: &Path, name: &str, period: Duration) -> bool {
    let stamp = folder.join(name);
    let modified = std::fs::metadata(&stamp).and_then(|file| file.modified());
    let recent = |at: SystemTime| at.elapsed().is_ok_and(|age| age < period);
    if modified.is_ok_and(recent) {
        return false;
    }
    let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&stamp, ""));
    true
}

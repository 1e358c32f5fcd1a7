//! The start of a helper, once however many processes ask for it.
//!
//! The log is also the lock: the helper inherits it, locked, as its standard output, and so holds the lock for its life.
//! Nobody waits for the start: until the helper listens, tests do without.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::place::Place;
use crate::config::{self, Config};

/// Closes what the runner has left open, such as a pipe to a program that waits for the end of the tests, and becomes the
/// helper, under a name that says so. dash closes descriptors of one digit only, and can give no name.
const SCRIPT: &str = r#"
name=$1
shift
highest=9
(eval 'exec 10>&-') 2>/dev/null && highest=1000000
for fd in /dev/fd/*; do
    fd=${fd##*/}
    case $fd in
    [0-2] | *[!0-9]*) ;;
    *) [ "$fd" -le "$highest" ] && eval "exec $fd>&-" ;;
    esac
done
[ -n "$BASH_VERSION" ] && exec -a "$name" "$@"
exec "$@"
"#;

/// What the helper says first.
pub(super) const SERVES: &str = "serves";

/// A binary that did not become a helper is not run again for so long.
const AGAIN: Duration = Duration::from_secs(5);

/// Starts a helper, unless another process is at it, or this one cannot be run again as one.
pub(super) fn start(place: &Place, config: &Config) -> io::Result<()> {
    let Some(arguments) = config::this_test_again() else { return Ok(()) };
    let binary = std::env::current_exe()?;
    let Some(mut log) = lock(&place.log)? else { return Ok(()) };
    let mark = mark(&binary)?;
    if has_failed(&log, &place.log, &mark)? {
        return Ok(());
    }
    log.set_len(0)?;
    writeln!(log, "{mark}")?;

    place.furnish()?;
    let workspace = config.target_dir.ancestors().nth(2).unwrap_or(&config.target_dir);
    let shell = ["/bin/bash", "/usr/bin/bash"].into_iter().find(|shell| Path::new(shell).exists()).unwrap_or("/bin/sh");
    let mut command = Command::new(shell);
    command.args(["-c", SCRIPT, "ptest"]).arg(format!("ptest helper {}", workspace.display()));
    command.arg(binary).args(arguments).env(config::HELPER_CALL, &place.folder);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().map(drop)
}

/// The log, locked; `None`: there is a helper, or another process is about to start one.
fn lock(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let log = File::options().read(true).append(true).create(true).open(path)?;
    match log.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Else it is that of a helper that was abandoned.
    let number = |found: fs::Metadata| (found.dev(), found.ino());
    let is_there = fs::metadata(path).is_ok_and(|found| log.metadata().is_ok_and(|ours| number(ours) == number(found)));
    Ok(is_there.then_some(log))
}

/// Whether this binary was started a moment ago, and never served: its harness runs no test by its name.
fn has_failed(log: &File, path: &Path, mark: &str) -> io::Result<bool> {
    let said = fs::read_to_string(path).unwrap_or_default();
    let recent = log.metadata()?.modified()?.elapsed().is_ok_and(|age| age < AGAIN);
    Ok(recent && said.lines().next() == Some(mark) && !said.lines().any(|line| line == SERVES))
}

/// What tells a binary from the next that is built.
fn mark(binary: &Path) -> io::Result<String> {
    let found = binary.metadata()?;
    Ok(format!("{} {}.{}", binary.display(), found.mtime(), found.mtime_nsec()))
}

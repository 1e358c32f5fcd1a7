//! The user account that the server runs under: our own, but never root.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::{fmt, fs};

use super::error::io_at;
use super::{OwnServerError, Result};
use crate::sys;

#[derive(Debug)]
pub(super) struct Account {
    /// The user that this process runs as.
    pub(super) me: u32,
    /// The user that the server runs as where that is another, because we are root.
    other: Option<Entry>,
    path: OsString,
}

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    uid: u32,
    gid: u32,
}

/// What follows the user's `PATH`: the keeper needs the common tools.
const USUAL_PATH: &str = ":/usr/local/bin:/usr/bin:/bin";

impl Account {
    /// The account for the server with this home: as root whoever owned it before, else `postgres` or `nobody`.
    pub(super) fn for_server(home: &Path, path: Option<&OsStr>) -> Result<Account> {
        let mut path = path.map(|path| path.to_owned()).unwrap_or_default();
        path.push(USUAL_PATH);
        let me = sys::user();
        let ourselves = Account { me, other: None, path };
        if me != 0 {
            return Ok(ourselves);
        }

        let passwd = Path::new("/etc/passwd");
        let entries = entries(&fs::read_to_string(passwd).map_err(io_at("read", passwd))?);
        let before = fs::metadata(home.join("use.lock")).map(|m| m.uid()).ok();
        let find = |is: &dyn Fn(&Entry) -> bool| entries.iter().find(|entry| entry.uid != 0 && is(entry));
        let other = find(&|entry| Some(entry.uid) == before)
            .or_else(|| ["postgres", "_postgres", "nobody"].iter().find_map(|name| find(&|entry| entry.name == *name)))
            .ok_or(OwnServerError::NoAccount)?;
        Ok(Account { other: Some(other.clone()), ..ourselves })
    }

    /// The user that owns what the server writes.
    pub(super) fn uid(&self) -> u32 {
        self.other.as_ref().map_or(self.me, |other| other.uid)
    }

    /// A command run as the server's user, with an environment of its own: PostgreSQL's programs heed many variables.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", &self.path).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some(Entry { uid, gid, .. }) = self.other {
            command.gid(gid).uid(uid);
        }
        command
    }

    /// Runs a command to its end and takes what it prints; an error is that it could not be run.
    pub(super) fn output(&self, command: &mut Command) -> Result<Output> {
        command.output().map_err(|source| self.cannot_run(command, source))
    }

    /// Runs a command to its end.
    pub(super) fn status(&self, command: &mut Command) -> Result<ExitStatus> {
        command.status().map_err(|source| self.cannot_run(command, source))
    }

    fn cannot_run(&self, command: &Command, source: std::io::Error) -> OwnServerError {
        OwnServerError::Spawn { program: command.get_program().into(), account: self.to_string(), source }
    }

    /// Gives a file or folder that we made to the server's user.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        match self.other {
            Some(Entry { uid, gid, .. }) => {
                chown(path, Some(uid), Some(gid)).map_err(io_at("change the owner of", path))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.other {
            Some(other) => write!(f, "user `{}`", other.name),
            None => write!(f, "the current user"),
        }
    }
}

fn entries(passwd: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some(Entry { name, uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    };
    passwd.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd() {
        let text =
            "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/sh\n";
        let entry = |name: &str, uid, gid| Entry { name: name.into(), uid, gid };
        assert_eq!(entries(text), [entry("root", 0, 0), entry("postgres", 101, 104)]);
    }
}

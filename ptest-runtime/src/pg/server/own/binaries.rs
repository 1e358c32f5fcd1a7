//! The machine's PostgreSQL server programs: where they are and which version they have.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{OwnOptions, OwnServerError, Result};

/// A folder with all the programs that a server needs.
#[derive(Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
    pub(super) version: Version,
}

/// As the programs print it: `15.18`, `18beta1`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Version {
    pub(super) major: u32,
    text: String,
}

const OLDEST: u32 = 13;
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

impl Binaries {
    /// Those that the user named; else the first in `PATH`, then what `pg_config` tells, then the newest installed.
    pub(super) fn find(options: &OwnOptions) -> Result<Binaries> {
        if let Some(folder) = &options.pg_bin {
            return Binaries::in_folder(folder)
                .map_err(|reason| OwnServerError::PgBin { folder: folder.clone(), reason });
        }
        let path = options.path.as_deref().unwrap_or_default();
        let mut passed_over = Vec::new();
        let on_path = std::env::split_paths(path).filter(|folder| folder.join("initdb").is_file());
        let candidates = on_path.map(follow).chain(pg_config(path)).chain(usual(Path::new("/")));
        for folder in candidates {
            match Binaries::in_folder(&folder) {
                Ok(binaries) => return Ok(binaries),
                Err(reason) => passed_over.push(format!("{}: {reason}", folder.display())),
            }
        }
        passed_over.dedup();
        Err(OwnServerError::NotInstalled { passed_over })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn in_folder(folder: &Path) -> Result<Binaries, String> {
        if let Some(missing) = PROGRAMS.iter().find(|program| !folder.join(program).is_file()) {
            return Err(format!("there is no `{missing}`"));
        }
        let folder = std::path::absolute(folder).map_err(|e| e.to_string())?;
        let postgres = folder.join("postgres");
        let output = Command::new(&postgres).arg("--version").stdin(Stdio::null()).output();
        let output = output.map_err(|e| format!("`postgres` cannot be run ({e})"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let version = Version::parse(&said).ok_or_else(|| {
            let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
            format!("`postgres --version` said {:?}", said.trim())
        })?;
        if version.major < OLDEST {
            return Err(format!("it is PostgreSQL {version}, and ptest needs {OLDEST} or newer"));
        }
        Ok(Binaries { folder, version })
    }
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    fn parse(said: &str) -> Option<Version> {
        let text = said.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        Some(Version { major: text[..digits].parse().ok()?, text: text.to_owned() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The folder that `initdb` is linked from: the rest need not be on the `PATH`.
fn follow(folder: PathBuf) -> PathBuf {
    let real = fs::canonicalize(folder.join("initdb")).ok().and_then(|initdb| Some(initdb.parent()?.to_owned()));
    real.filter(|real| real.join("postgres").is_file()).unwrap_or(folder)
}

/// What `pg_config` tells; evaluated only when it is needed.
fn pg_config(path: &OsStr) -> impl Iterator<Item = PathBuf> {
    let program = std::env::split_paths(path).map(|folder| folder.join("pg_config")).find(|program| program.is_file());
    program.into_iter().filter_map(|program| {
        let output = Command::new(program).arg("--bindir").stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(said.trim())).filter(|folder| folder.is_absolute())
    })
}

/// The folders of versions that packages use: parent, what stands before the version, what follows it.
const USUAL: [(&str, &str, &str); 12] = [
    ("usr/lib/postgresql", "", "bin"),                          // Debian, Ubuntu
    ("usr", "pgsql-", "bin"),                                   // PostgreSQL's own RPMs
    ("usr/libexec", "postgresql", ""),                          // Alpine
    ("usr/lib", "postgresql", "bin"),                           // SUSE
    ("usr/lib64", "postgresql-", "bin"),                        // Gentoo
    ("opt/homebrew/opt", "postgresql@", "bin"),                 // Homebrew on Apple silicon
    ("usr/local/opt", "postgresql@", "bin"),                    // Homebrew on Intel
    ("home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),    // Homebrew on Linux
    ("opt/local/lib", "postgresql", "bin"),                     // MacPorts
    ("Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
    ("Library/PostgreSQL", "", "bin"),                          // EDB's installer
    ("opt", "PostgreSQL-", "bin"),                              // EDB's installer on Linux
];

/// The usual folders that are there, newest version first, and last those that name none.
fn usual(root: &Path) -> impl Iterator<Item = PathBuf> {
    let root = root.to_owned();
    std::iter::once_with(move || {
        let mut found: Vec<(u32, PathBuf)> = Vec::new();
        for (parent, prefix, suffix) in USUAL {
            for entry in fs::read_dir(root.join(parent)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let major = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
                let folder = entry.path().join(suffix);
                if let Some(major) = major.filter(|_| folder.join("initdb").is_file()) {
                    found.push((major, folder));
                }
            }
        }
        found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        let nameless =
            ["usr/local/pgsql/bin", "opt/homebrew/bin", "usr/local/bin", "usr/bin"].map(|path| root.join(path));
        let nameless = nameless.into_iter().filter(|folder| folder.join("initdb").is_file());
        found.into_iter().map(|(_, folder)| folder).chain(nameless).collect::<Vec<_>>()
    })
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        let parse = |said| Version::parse(said).map(|version| (version.major, version.text));
        assert_eq!(parse("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, "15.18".into())));
        assert_eq!(parse("postgres (PostgreSQL) 18beta1\n"), Some((18, "18beta1".into())));
        assert_eq!(parse("sh: postgres: not found"), None);
    }

    #[test]
    fn prefers_the_newest_of_the_usual_folders() {
        let root = tempfile::tempdir().unwrap();
        let add = |folder: &str| {
            let folder = root.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("initdb"), "").unwrap();
            folder
        };
        let debian = add("usr/lib/postgresql/9/bin");
        let bare = add("usr/local/pgsql/bin");
        let alpine = add("usr/libexec/postgresql17");
        let brew = add("opt/homebrew/opt/postgresql@16/bin");
        fs::create_dir_all(root.path().join("usr/lib/postgresql/18/bin")).unwrap();
        assert_eq!(usual(root.path()).collect::<Vec<_>>(), [alpine, brew, debian, bare]);
    }
}

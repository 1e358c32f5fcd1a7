//! What a crate, or its workspace, says for all of its tests: `[package.metadata.ptest]` and `[workspace.metadata.ptest]`
//! of `Cargo.toml`. The package's word counts more than the workspace's. A path is relative to the file that names it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use toml::de::{DeTable, DeValue};

use crate::audit::Severities;
use crate::error::Failure;
use crate::spec::{Isolation, Migrations, Script};

/// The defaults of a package's tests; what is `None` was not said.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) isolation: Option<Isolation>,
    pub(crate) migrations: Option<Migrations>,
    pub(crate) seed: Option<&'static [Script]>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) turn_timeout: Option<Duration>,
    pub(crate) audit: Severities,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DefaultsError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot parse `{}`", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("`{key}` in `{}` is not {expected}", path.display())]
    Key { path: PathBuf, key: String, expected: String },
}

impl Failure for DefaultsError {}

const KEYS: &str = "one of `isolation`, `migrations`, `seed`, `timeout`, `turn_timeout` and `audit`";

/// The defaults of the package in this folder, read once per process; `None`: there are none.
pub(crate) fn defaults(compiled: &str) -> Result<Option<&'static Defaults>, DefaultsError> {
    static KNOWN: Mutex<Vec<(String, Option<&'static Defaults>)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, defaults)) = known.iter().find(|(folder, _)| folder == compiled) {
        return Ok(*defaults);
    }
    let defaults = Defaults::read(&super::manifest_dir(compiled))?.map(|defaults| &*Box::leak(Box::new(defaults)));
    known.push((compiled.to_owned(), defaults));
    Ok(defaults)
}

impl Defaults {
    fn read(package: &Path) -> Result<Option<Defaults>, DefaultsError> {
        let mut found = None;
        if let Some((path, text)) = manifest(package)? {
            Defaults::complete(&mut found, &path, &text, "package")?;
        }
        // As Cargo looks for the workspace.
        for folder in package.ancestors() {
            let Some((path, text)) = manifest(folder)? else { continue };
            if text.lines().any(|line| line.starts_with("[workspace]") || line.starts_with("[workspace.")) {
                Defaults::complete(&mut found, &path, &text, "workspace")?;
                break;
            }
        }
        Ok(found)
    }

    /// Adds what a manifest says and nobody has said before.
    fn complete(found: &mut Option<Defaults>, path: &Path, text: &str, whose: &str) -> Result<(), DefaultsError> {
        // Parsing takes longer than all else here, in every process; nearly all manifests have no such table.
        if !(text.contains("metadata") && text.contains("ptest")) {
            return Ok(());
        }
        let parsed = DeTable::parse(text);
        let document =
            parsed.map_err(|source| DefaultsError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        let table = |value: &'_ DeValue<'_>, key: &str| value.get(key).is_some();
        let Some(owner) = document.get_ref().get(whose).map(|owner| owner.get_ref()) else { return Ok(()) };
        if !table(owner, "metadata") || !table(owner["metadata"].get_ref(), "ptest") {
            return Ok(());
        }
        let file = File { path, whose };
        let said = owner["metadata"].get_ref()["ptest"].get_ref();
        let said = file.read(said)?;
        let before = found.take().unwrap_or_default();
        *found = Some(Defaults {
            isolation: before.isolation.or(said.isolation),
            migrations: before.migrations.or(said.migrations),
            seed: before.seed.or(said.seed),
            timeout: before.timeout.or(said.timeout),
            turn_timeout: before.turn_timeout.or(said.turn_timeout),
            audit: before.audit.or(&said.audit),
        });
        Ok(())
    }
}

/// A manifest, and whose table of it is read.
struct File<'a> {
    path: &'a Path,
    whose: &'a str,
}

impl File<'_> {
    fn wrong(&self, key: &str, expected: impl Into<String>) -> DefaultsError {
        let key = format!("{}.metadata.ptest{key}", self.whose);
        DefaultsError::Key { path: self.path.to_owned(), key, expected: expected.into() }
    }

    fn read(&self, table: &DeValue<'_>) -> Result<Defaults, DefaultsError> {
        let table = table.as_table().ok_or_else(|| self.wrong("", "a table"))?;
        let mut defaults = Defaults::default();
        for (name, value) in table {
            let (name, value) = (name.get_ref().as_ref(), value.get_ref());
            let key = format!(".{name}");
            let wrong = |expected: &str| self.wrong(&key, expected);
            match name {
                "isolation" => {
                    defaults.isolation = Some(match value.as_str() {
                        Some("transaction") => Isolation::Transaction,
                        Some("database") => Isolation::Database,
                        _ => return Err(wrong("`\"transaction\"` or `\"database\"`")),
                    });
                }
                "migrations" => {
                    defaults.migrations = Some(match (value.as_str(), value.as_bool()) {
                        (Some(folder), _) => Migrations::Dir(self.beside(folder).leak()),
                        (_, Some(false)) => Migrations::None,
                        _ => return Err(wrong("a folder or `false`")),
                    });
                }
                "seed" => {
                    let scripts = value.as_array().ok_or_else(|| wrong("an array of files"))?.iter();
                    let scripts = scripts
                        .map(|file| self.script(file.get_ref().as_str().ok_or_else(|| wrong("an array of files"))?));
                    defaults.seed = Some(scripts.collect::<Result<Vec<Script>, _>>()?.leak());
                }
                "timeout" => defaults.timeout = Some(time(value).ok_or_else(|| wrong(TIME))?),
                "turn_timeout" => defaults.turn_timeout = Some(time(value).ok_or_else(|| wrong(TIME))?),
                "audit" => defaults.audit = self.audit(value)?,
                _ => return Err(wrong(KEYS)),
            }
        }
        Ok(defaults)
    }

    /// A path as the file means it.
    fn beside(&self, path: &str) -> String {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        folder.join(path).to_string_lossy().into_owned()
    }

    fn script(&self, path: &str) -> Result<Script, DefaultsError> {
        let file = self.beside(path);
        match fs::read_to_string(&file) {
            Ok(sql) => Ok(Script { path: file.leak(), sql: sql.leak() }),
            Err(source) => Err(DefaultsError::Read { path: file.into(), source }),
        }
    }

    fn audit(&self, value: &DeValue<'_>) -> Result<Severities, DefaultsError> {
        let table = value.as_table().ok_or_else(|| self.wrong(".audit", "a table"))?;
        let mut all = Severities::new();
        for (finding, severity) in table {
            let finding = finding.get_ref().as_ref();
            let wrong = || self.wrong(&format!(".audit.{finding}"), Severities::form());
            let said = severity.get_ref().as_str().ok_or_else(wrong)?;
            all = all.or(&Severities::parse(&format!("{finding}={said}")).map_err(|_| wrong())?);
        }
        Ok(all)
    }
}

const TIME: &str = "a number with its unit, such as `\"500ms\"`, `\"1.5s\"` or `\"2m\"`";

/// As the attribute reads it.
fn time(value: &DeValue<'_>) -> Option<Duration> {
    let text = value.as_str()?;
    let (number, unit) = [("ms", 0.001), ("s", 1.0), ("m", 60.0)]
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let seconds = number.bytes().all(|b| b.is_ascii_digit() || b == b'.').then(|| number.parse::<f64>().ok())??;
    Duration::try_from_secs_f64(seconds * unit).ok().filter(|time| !time.is_zero())
}

/// The manifest of a folder, if it has one.
fn manifest(folder: &Path) -> Result<Option<(PathBuf, String)>, DefaultsError> {
    let path = folder.join("Cargo.toml");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(DefaultsError::Read { path, source }),
    }
}

//! The settings files of the tools, `sqlx.toml` and diesel's `metadata.toml`, with the tools' own meaning: so a key that
//! sqlx does not know is an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layouts::MigrationsError;

/// The settings of `sqlx.toml` that change what the migrations make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SqlxSettings {
    /// `table-name`: the table that records the migrations.
    pub(crate) table_name: Option<String>,
    /// `create-schemas`: the schemas to create first.
    pub(crate) create_schemas: Vec<String>,
    /// `ignored-chars`: what the checksums of migrations leave out.
    pub(crate) ignored_chars: Vec<char>,
}

impl SqlxSettings {
    /// What a fingerprint has of the settings: nothing where they are the defaults.
    pub(super) fn parts(&self) -> Vec<String> {
        if *self == SqlxSettings::default() {
            return Vec::new();
        }
        let mut parts = vec![format!("{:?}", self.table_name), self.ignored_chars.iter().collect()];
        parts.extend(self.create_schemas.iter().cloned());
        parts
    }
}

/// Reads the `sqlx.toml` of a package: the folder that it names, and the settings. Without the file: the defaults.
pub(super) fn sqlx(manifest_dir: &Path) -> Result<(Option<String>, SqlxSettings), MigrationsError> {
    let path = manifest_dir.join("sqlx.toml");
    let Some(text) = text(&path)? else { return Ok(Default::default()) };
    match parse(&text, &path)?.get("migrate") {
        Some(migrate) => migrate_table(migrate.get_ref()).map_err(|wrong| wrong.at(path)),
        None => Ok(Default::default()),
    }
}

/// Whether the `metadata.toml` of a diesel migration, if there is one, lets it run in a transaction.
pub(super) fn diesel_in_transaction(path: PathBuf) -> Result<bool, MigrationsError> {
    const KEY: &str = "run_in_transaction";
    let Some(text) = text(&path)? else { return Ok(true) };
    match parse(&text, &path)?.get(KEY).map(|value| value.get_ref().as_bool()) {
        None => Ok(true),
        Some(Some(value)) => Ok(value),
        Some(None) => Err(Wrong { key: KEY.to_owned(), expected: "`true` or `false`" }.at(path)),
    }
}

fn text(path: &Path) -> Result<Option<String>, MigrationsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(MigrationsError::Read { path: path.to_owned(), source }),
    }
}

fn parse<'t>(text: &'t str, path: &Path) -> Result<DeTable<'t>, MigrationsError> {
    match DeTable::parse(text) {
        Ok(document) => Ok(document.into_inner()),
        Err(source) => Err(MigrationsError::Toml { path: path.to_owned(), source: Box::new(source) }),
    }
}

/// A key whose value is not what sqlx takes.
struct Wrong {
    key: String,
    expected: &'static str,
}

impl Wrong {
    fn at(self, path: PathBuf) -> MigrationsError {
        MigrationsError::TomlKey { path, key: self.key, expected: self.expected }
    }
}

fn migrate_table(migrate: &DeValue<'_>) -> Result<(Option<String>, SqlxSettings), Wrong> {
    let table = migrate.as_table().ok_or(Wrong { key: "migrate".into(), expected: "a table" })?;
    let (mut dir, mut settings) = (None, SqlxSettings::default());
    for (key, value) in table {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        let wrong = |expected| Wrong { key: format!("migrate.{key}"), expected };
        match key {
            "migrations-dir" => dir = Some(value.as_str().ok_or(wrong("a string"))?.to_owned()),
            "table-name" => settings.table_name = Some(value.as_str().ok_or(wrong("a string"))?.to_owned()),
            "create-schemas" => {
                settings.create_schemas = strings(value).ok_or(wrong("an array of strings"))?;
            }
            "ignored-chars" => {
                let chars = strings(value).and_then(|strings| strings.iter().map(|s| only_char(s)).collect());
                settings.ignored_chars = chars.ok_or(wrong("an array of strings of one character each"))?;
            }
            // For `sqlx migrate add` alone.
            "defaults" => {}
            _ => {
                return Err(wrong(
                    "one of `migrations-dir`, `table-name`, `create-schemas`, `ignored-chars` and `defaults`",
                ));
            }
        }
    }
    Ok((dir, settings))
}

/// The strings of an array, in the order that sqlx uses them in: sorted, each once.
fn strings(value: &DeValue<'_>) -> Option<Vec<String>> {
    let item = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
    let mut strings = value.as_array()?.iter().map(item).collect::<Option<Vec<_>>>()?;
    strings.sort();
    strings.dedup();
    Some(strings)
}

fn only_char(string: &str) -> Option<char> {
    let mut chars = string.chars();
    chars.next().filter(|_| chars.next().is_none())
}

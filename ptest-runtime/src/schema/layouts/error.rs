//! What can be wrong with a folder of migrations, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::{Layout, Wrong, patterns};
use crate::error::Failure;

#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrationsError {
    #[error("the migrations folder `{}` does not exist", path.display())]
    Missing { path: PathBuf, named_by: &'static str },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("line {line} of the migration `{}` is not UTF-8", path.display())]
    NotUtf8 { path: PathBuf, line: usize },
    #[error("no migration in the folder `{}`, which {}", dir.display(), holds(found))]
    Empty { dir: PathBuf, found: Vec<String> },
    #[error("the migrations in `{}` were changed while they were read", dir.display())]
    Changed { dir: PathBuf },
    #[error("two migrations with the version {version} in `{}`: `{first}` and `{second}`", dir.display())]
    Twice { dir: PathBuf, version: String, first: String, second: String },
    #[error("the name of `{}` has no version that {tool} reads", path.display())]
    Misnamed { path: PathBuf, tool: &'static str, pattern: &'static str },
    #[error(
        "the folder `{}` mixes migrations of {} (`{}`) and of {} (`{}`)",
        dir.display(), first.0, first.1, second.0, second.1
    )]
    Mixed { dir: PathBuf, tool: &'static str, first: (&'static str, String), second: (&'static str, String) },
    #[error("the migration `{}` is {language} code, which only {tool} can run", path.display())]
    Code { path: PathBuf, language: &'static str, tool: &'static str },
    #[error("migrations of {tool} in the inner folder `{}`", path.display())]
    Nested { path: PathBuf, tool: &'static str },
    #[error("no `{file}` in `{}`, beside migrations of {tool}", path.display())]
    Lacks { path: PathBuf, file: &'static str, tool: &'static str },
    #[error("no line `{mark}` in `{}`, beside migrations of {tool}", path.display())]
    NoWayUp { path: PathBuf, mark: &'static str, tool: &'static str },
    #[error("statements before the line `{mark}` in `{}`, which {tool} refuses", path.display())]
    BeforeWayUp { path: PathBuf, mark: &'static str, tool: &'static str },
    #[error("`{}` is {what}, which only {tool} can run", path.display())]
    Special { path: PathBuf, what: &'static str, tool: &'static str },
    #[error("`{}` has `{what}` at line {line}, which only {tool} can read", path.display())]
    Unsupported { path: PathBuf, line: usize, what: &'static str, tool: &'static str },
    #[error("`{tool}` is no migration tool that ptest knows")]
    Tool { tool: String, known: String },
    #[error("cannot parse `{}`", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("`{key}` in `{}` is not {expected}", path.display())]
    TomlKey { path: PathBuf, key: String, expected: &'static str },
}

fn holds(found: &[String]) -> String {
    const SHOWN: usize = 8;
    if found.is_empty() {
        return "is empty".to_owned();
    }
    let names: Vec<_> = found.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match found.len().saturating_sub(SHOWN) {
        0 => format!("holds {}", names.join(", ")),
        more => format!("holds {} and {more} more", names.join(", ")),
    }
}

impl MigrationsError {
    /// What is wrong with an entry that a tool has something to say of.
    pub(super) fn wrong(wrong: Wrong, path: PathBuf, layout: &dyn Layout) -> MigrationsError {
        let tool = layout.tool();
        match wrong {
            Wrong::Misnamed => MigrationsError::Misnamed { path, tool, pattern: layout.pattern() },
            Wrong::Code(language) => MigrationsError::Code { path, language, tool },
            Wrong::Lacks(file) => MigrationsError::Lacks { path, file, tool },
            Wrong::Nested => MigrationsError::Nested { path, tool },
            Wrong::Unmarked(mark) => MigrationsError::NoWayUp { path, mark, tool },
            Wrong::Special(what) => MigrationsError::Special { path, what, tool },
        }
    }
}

impl Failure for MigrationsError {
    fn help(&self) -> Option<String> {
        Some(match self {
            MigrationsError::Missing { named_by, .. } => format!(
                "{named_by} names it, relative to the folder of `Cargo.toml`; write `migrations = false` for an empty \
                 database"
            ),
            MigrationsError::Empty { .. } => {
                format!("name them {}, or write `migrations = false` for an empty database", patterns())
            }
            MigrationsError::Misnamed { pattern, .. } => {
                format!("name it `{pattern}` with a whole number as the version, or move it out of the folder")
            }
            MigrationsError::Changed { .. } => "run the test again".to_owned(),
            MigrationsError::Twice { .. } => "give one of them a version of its own".to_owned(),
            MigrationsError::Mixed { tool, .. } => format!(
                "keep each in a folder of its own, and name one with the argument `migrations`. To run those of {tool} \
                 alone, name the tool too: `migrations = \"{tool}:migrations\"`"
            ),
            MigrationsError::Code { tool, .. } => format!(
                "write it as SQL, or write `migrations = false` and run {tool} in `setup = path::to::fn` or as a `migrator`"
            ),
            MigrationsError::Nested { .. } => "move them up: ptest reads one folder".to_owned(),
            MigrationsError::Lacks { file, .. } => format!("add its `{file}`, or move it out of the folder"),
            MigrationsError::NoWayUp { mark, .. } => {
                format!("add the line `{mark}` before its statements, or move it out of the folder")
            }
            MigrationsError::BeforeWayUp { .. } => "move them below that line".to_owned(),
            MigrationsError::Special { tool, .. } | MigrationsError::Unsupported { tool, .. } => format!(
                "write what it does as a plain migration, or write `migrations = false` and run {tool} in a `migrator` of yours"
            ),
            MigrationsError::Tool { known, .. } => {
                format!("before a colon, the argument `migrations` names the tool of the folder, one of `{known}`")
            }
            MigrationsError::NotUtf8 { .. } => "save the file as UTF-8".to_owned(),
            MigrationsError::Read { .. } | MigrationsError::Toml { .. } | MigrationsError::TomlKey { .. } => {
                return None;
            }
        })
    }
}

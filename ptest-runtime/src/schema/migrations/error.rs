//! What can be wrong with a folder of migrations, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::Layout;
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
    #[error("the name of `{}` has no version that {} reads", path.display(), layout.tool())]
    Misnamed { path: PathBuf, layout: Layout },
    #[error(
        "the folder `{}` mixes migrations of {} (`{}`) and of {} (`{}`)",
        dir.display(), first.0.tool(), first.1, second.0.tool(), second.1
    )]
    Mixed { dir: PathBuf, first: (Layout, String), second: (Layout, String) },
    #[error("the migration `{}` is Rust code, which only refinery can run", path.display())]
    Rust { path: PathBuf },
    #[error("migrations of refinery in the inner folder `{}`", path.display())]
    Nested { path: PathBuf },
    #[error("no `up.sql` in `{}`, beside migrations of diesel", path.display())]
    NoUpSql { path: PathBuf },
    #[error("no `-- migrate:up` in `{}`, beside migrations of dbmate", path.display())]
    NoWayUp { path: PathBuf },
    #[error("statements before `-- migrate:up` in `{}`, which dbmate refuses", path.display())]
    BeforeWayUp { path: PathBuf },
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

impl Failure for MigrationsError {
    fn help(&self) -> Option<String> {
        Some(match self {
            MigrationsError::Missing { named_by, .. } => format!(
                "{named_by} names it, relative to the folder of `Cargo.toml`; write `migrations = false` for an empty \
                 database"
            ),
            MigrationsError::Empty { .. } => {
                let patterns = [Layout::Sqlx, Layout::Diesel, Layout::Refinery, Layout::Numbered]
                    .map(|layout| format!("`{}` ({})", layout.pattern(), layout.tool()));
                format!("name them {}, or write `migrations = false` for an empty database", patterns.join(", "))
            }
            MigrationsError::Misnamed { layout, .. } => {
                format!(
                    "name it `{}` with a whole number as the version, or move it out of the folder",
                    layout.pattern()
                )
            }
            MigrationsError::Changed { .. } => "run the test again".to_owned(),
            MigrationsError::Twice { .. } => "give one of them a version of its own".to_owned(),
            MigrationsError::Mixed { .. } => {
                "keep each in a folder of its own, and name one with the argument `migrations`".to_owned()
            }
            MigrationsError::Rust { .. } => {
                "write it as SQL, or write `migrations = false` and call refinery's runner in \
                 `setup = path::to::fn`"
                    .to_owned()
            }
            MigrationsError::Nested { .. } => "move them up: ptest reads one folder".to_owned(),
            MigrationsError::NoUpSql { .. } => "add its `up.sql`, or move it out of the folder".to_owned(),
            MigrationsError::NoWayUp { .. } => {
                "add the line `-- migrate:up` before its statements, or move it out of the folder".to_owned()
            }
            MigrationsError::BeforeWayUp { .. } => "move them below that line".to_owned(),
            MigrationsError::NotUtf8 { .. } => "save the file as UTF-8".to_owned(),
            MigrationsError::Read { .. } | MigrationsError::Toml { .. } | MigrationsError::TomlKey { .. } => {
                return None;
            }
        })
    }
}

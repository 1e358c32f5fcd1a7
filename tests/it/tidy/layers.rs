//! The rooms of `ptest-runtime` and their order, which ARCHITECTURE.md draws: a file names only its own room and those beneath.
//! So there is no circle between rooms.

use std::path::{Path, PathBuf};

use super::{code, offenders};

/// Every room, each on top of those before it. A room of a room comes before the files that stand beside it.
const ROOMS: [&str; 34] = [
    "error",
    "sys",
    "audit",
    "spec",
    "config",
    "helper",
    "schema",
    "engine",
    "test",
    "pg::wire",
    "pg::server",
    "pg::sandbox",
    "pg::script",
    "pg::report",
    "pg::source",
    "pg::draft",
    "pg::postgres",
    "pg::template",
    "pg::socket",
    "pg::slot",
    "pg::forward",
    "pg::warm",
    "pg::single",
    "pg::clone",
    "pg::reaper",
    "pg::inventory",
    "pg::housekeeping",
    "pg::fixture",
    "pg::engine",
    "pg::param",
    "pg::drivers",
    "pg",
    "sqlite",
    "tool",
];

const SOURCES: &str = "ptest-runtime/src";

/// The room of a module or of something in it.
fn room(path: &[String]) -> Option<usize> {
    let is_in = |room: &&str| {
        let parts: Vec<&str> = room.split("::").collect();
        path.len() >= parts.len() && parts.iter().zip(path).all(|(a, b)| a == b)
    };
    (0..ROOMS.len()).filter(|room| is_in(&ROOMS[*room])).max_by_key(|room| ROOMS[*room].len())
}

/// The module that a file is.
fn module(file: &Path) -> Vec<String> {
    let path = file.strip_prefix(SOURCES).unwrap().with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod").collect()
}

/// The paths in a line, from the crate's root; `within` is the module that the line is in.
fn paths(line: &str, within: &[String]) -> Vec<Vec<String>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in line.match_indices("::") {
        let first = line[..at].rsplit(|c| !is_part(c)).next().unwrap();
        let before = &line[..at - first.len()];
        let start = match first {
            _ if before.ends_with(['$', ':']) => continue,
            "crate" => Vec::new(),
            "super" => within[..within.len() - 1].to_vec(),
            _ => continue,
        };
        let (mut base, mut rest) = (start, &line[at + 2..]);
        while let Some(further) = rest.strip_prefix("super::") {
            base.pop();
            rest = further;
        }
        let (list, in_braces) = match rest.strip_prefix('{') {
            Some(list) => (list.split('}').next().unwrap(), true),
            None => (rest.split(|c| !is_part(c) && c != ':').next().unwrap(), false),
        };
        for name in list.split(',').filter(|name| !in_braces || !name.trim().is_empty()) {
            let name = name.trim().split(' ').next().unwrap();
            let parts = name.split("::").filter(|part| !part.is_empty()).map(str::to_owned);
            found.push(base.iter().cloned().chain(parts).collect());
        }
    }
    found
}

/// What is wrong with what a file names: the line, and the path.
fn wrong(lines: impl Iterator<Item = (PathBuf, usize, String)>) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut inline, mut last) = (None, PathBuf::new());
    for (path, number, line) in lines {
        if last != path {
            (inline, last) = (None, path.clone());
        }
        // A module that stands in the file.
        let opened = line.trim_start_matches("pub(crate) ").strip_prefix("mod ").and_then(|l| l.strip_suffix(" {"));
        match (opened, line.as_str()) {
            (Some(name), _) => inline = Some(name.to_owned()),
            (None, "}") => inline = None,
            _ => {}
        }
        let mut within = module(&path);
        let own = room(&within).unwrap_or_else(|| panic!("{} is in no room", path.display()));
        within.extend(inline.clone());
        for named in paths(&line, &within) {
            let at_root = [["Error"], ["Result"]].iter().any(|name| named.starts_with(&name.map(str::to_owned)));
            match room(&named) {
                _ if at_root => {}
                Some(room) if room <= own => {}
                _ => wrong.push(format!("{}:{number}: {}", path.display(), named.join("::"))),
            }
        }
    }
    wrong
}

#[test]
fn a_file_names_only_rooms_beneath_it() {
    let root = Path::new(SOURCES).join("lib.rs");
    let wrong = wrong(code().filter(|(path, _, _)| path.starts_with(SOURCES) && *path != root));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What this test takes for a path.
#[test]
fn a_path_upwards_is_seen() {
    let of = |file: &str, line: &str| wrong([(Path::new(SOURCES).join(file), 1, line.to_owned())].into_iter()).len();
    for (file, line) in [
        ("schema/step.rs", "use crate::test::context::Context;"),
        ("pg/slot/held.rs", "use crate::pg::single::{self, Turn};"),
        ("pg/slot/mod.rs", "use super::{server, reaper};"),
        ("pg/slot/keeper/door.rs", "    super::super::super::clone::lease()"),
        ("engine/mod.rs", "fn of(engine: &crate::pg::postgres::Postgres) {}"),
        ("sys/mod.rs", "use crate::Context;"),
    ] {
        assert_eq!(of(file, line), 1, "{file}: {line}");
    }
    for (file, line) in [
        ("pg/slot/held.rs", "use super::keeper::Keeper;"),
        ("pg/single/source.rs", "use crate::pg::slot::{Acquired, Slot};"),
        ("pg/drivers/diesel.rs", "async fn from_context(cx: &mut Context) -> crate::Result<Self> {"),
        ("sqlite/engine.rs", "use super::{audit, drivers};"),
    ] {
        assert_eq!(of(file, line), 0, "{file}: {line}");
    }
}

#[test]
fn features_are_asked_for_only_in_the_root_and_by_drivers() {
    let words = ["cfg(feature", "cfg(not(feature", "cfg(any(feature", "cfg(all(feature", "cfg_attr(feature"];
    let found = offenders(&words, |path, _| {
        let is_root = path == Path::new(SOURCES).join("lib.rs");
        !path.starts_with(SOURCES) || is_root || path.components().any(|part| part.as_os_str() == "drivers")
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

//! What can be done about an error of the server in a script: the server's words tell what is missing.

use crate::pg::server::{self, DbError};
use crate::schema::{Cut, Script};

/// What the user can do.
pub(super) fn of(error: &DbError, major: u32, script: &Script<'_>) -> Option<String> {
    match error.code.as_str() {
        "25001" => Some(transaction(script)),
        "42601" if error.message.contains("\"\\\"") => Some(
            "a line that begins with a backslash is a command of psql, which no migration tool reads: remove it; or name the \
             script itself, `migrations = \"schema.sql\"`, or make it a seed: ptest reads these as psql does"
                .to_owned(),
        ),
        "42704" | "42883" | "0A000" | "58P01" => missing(&error.message, major),
        "42P06" if error.message.contains("\"public\"") => {
            Some("every database has the schema `public`: remove the line, or write CREATE SCHEMA IF NOT EXISTS".to_owned())
        }
        "42710" => Some(
            "roles and tablespaces belong to the whole server and outlive a template: create them with a guard \
             (DO $$ BEGIN … EXCEPTION WHEN duplicate_object THEN END $$)"
                .to_owned(),
        ),
        "53100" => Some(server::DISK_FULL.to_owned()),
        _ => None,
    }
}

/// A statement that must be alone, in a script that is a transaction.
fn transaction(script: &Script<'_>) -> String {
    match (script.in_transaction, script.cut) {
        (true, _) => {
            "the tool runs this file in a transaction: give the statement a migration of its own, and ask for none \
                      there in the tool's way (the reference of `migrations` has the line for each tool)"
                .to_owned()
        }
        (false, Cut::Whole) => {
            "the tool sends this file as one string, and PostgreSQL runs the statements of one string as one \
                                transaction: give the statement a migration of its own"
                .to_owned()
        }
        (false, Cut::Statements) => "the script has begun a transaction: move the statement out of it".to_owned(),
    }
}

/// What a message says is missing, and where it comes from.
fn missing(message: &str, major: u32) -> Option<String> {
    let name = message.split('"').nth(1);
    if let Some(parameter) = name.filter(|_| message.starts_with("unrecognized configuration parameter")) {
        return Some(format!(
            "the server, PostgreSQL {major}, has no setting `{parameter}`: a dump that sets it was made for another version, or \
             an extension has it. Remove the line, or test on that version (PTEST_PG_BIN)"
        ));
    }
    if message.starts_with("role ") {
        return Some(
            "roles belong to the whole server: create it in a migration, with a guard (DO $$ BEGIN CREATE ROLE … EXCEPTION \
             WHEN duplicate_object THEN END $$); or make a dump without owners and grants (pg_dump --no-owner --no-privileges)"
                .to_owned(),
        );
    }
    if message.starts_with("tablespace ") {
        return Some("tablespaces belong to the whole server: leave the clause out, or create it there".to_owned());
    }
    if message.starts_with("extension ") || message.starts_with("could not open extension control file") {
        let extension = name.map(|name| name.rsplit('/').next().unwrap_or(name).trim_end_matches(".control"))?;
        return Some(install(extension, major));
    }
    let thing = name.map(str::to_owned).or_else(|| function(message))?;
    let thing = thing.rsplit('.').next().unwrap_or(&thing);
    let has = |(_, things): &&(&str, &[&str])| things.contains(&thing);
    if let Some((extension, _)) = THINGS.iter().find(has) {
        return Some(format!(
            "`{thing}` comes with the extension `{extension}`: CREATE EXTENSION \"{extension}\" before it; {}",
            install(extension, major)
        ));
    }
    message.starts_with("type ").then(|| {
        "an earlier migration has to create the type, or the extension that has it; one outside of `search_path` needs its \
         schema's name"
            .to_owned()
    })
}

/// The name in `function name(…) does not exist`.
fn function(message: &str) -> Option<String> {
    Some(message.strip_prefix("function ")?.split_once('(')?.0.to_owned())
}

/// What extensions have that is missed without them.
const THINGS: [(&str, &[&str]); 13] = [
    ("citext", &["citext"]),
    ("hstore", &["hstore"]),
    ("ltree", &["ltree", "lquery", "ltxtquery"]),
    ("cube", &["cube"]),
    ("isn", &["isbn", "isbn13", "ean13", "issn"]),
    ("pg_trgm", &["gin_trgm_ops", "gist_trgm_ops", "similarity", "word_similarity"]),
    ("btree_gin", &["int4_ops", "text_ops", "uuid_ops"]),
    ("uuid-ossp", &["uuid_generate_v1", "uuid_generate_v4", "uuid_generate_v5"]),
    ("pgcrypto", &["crypt", "gen_salt", "digest", "gen_random_bytes", "pgp_sym_encrypt"]),
    ("unaccent", &["unaccent"]),
    ("postgis", &["geometry", "geography", "st_makepoint", "st_setsrid", "raster"]),
    ("vector", &["vector", "halfvec", "sparsevec", "vector_cosine_ops", "vector_l2_ops", "hnsw", "ivfflat"]),
    ("plpython3u", &["plpython3u"]),
];

/// The packages of extensions that are not part of the server, as Debian and its kin name them, with the version as `{}`.
const PACKAGES: [(&str, &str); 21] = [
    ("postgis", "postgresql-{}-postgis-3"),
    ("postgis_topology", "postgresql-{}-postgis-3"),
    ("postgis_raster", "postgresql-{}-postgis-3"),
    ("vector", "postgresql-{}-pgvector"),
    ("timescaledb", "timescaledb-2-postgresql-{}"),
    ("pg_cron", "postgresql-{}-cron"),
    ("pg_partman", "postgresql-{}-partman"),
    ("pg_repack", "postgresql-{}-repack"),
    ("pgaudit", "postgresql-{}-pgaudit"),
    ("pgtap", "postgresql-{}-pgtap"),
    ("pgrouting", "postgresql-{}-pgrouting"),
    ("hypopg", "postgresql-{}-hypopg"),
    ("hll", "postgresql-{}-hll"),
    ("ip4r", "postgresql-{}-ip4r"),
    ("rum", "postgresql-{}-rum"),
    ("semver", "postgresql-{}-semver"),
    ("periods", "postgresql-{}-periods"),
    ("orafce", "postgresql-{}-orafce"),
    ("plpython3u", "postgresql-plpython3-{}"),
    ("plperl", "postgresql-plperl-{}"),
    ("pltcl", "postgresql-pltcl-{}"),
];

/// Where an extension's files come from.
fn install(extension: &str, major: u32) -> String {
    let package = PACKAGES.iter().find(|(other, _)| *other == extension).map(|(_, package)| *package);
    match package.map(|package| package.replace("{}", &major.to_string())) {
        Some(package) => format!("its files are in the package `{package}` of Debian and its kin, for the server that tests run on"),
        None => "its files have to be installed on the server that tests run on (the extensions of PostgreSQL itself are in the \
                 package `postgresql-contrib`, or in the server's own)"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(message: &str, word: &str) {
        let help = missing(message, 15).unwrap_or_default();
        assert!(help.contains(word), "`{word}` is not in the help for `{message}`: {help}");
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        says(
            "unrecognized configuration parameter \"transaction_timeout\"",
            "PostgreSQL 15, has no setting `transaction_timeout`",
        );
        says("role \"app\" does not exist", "CREATE ROLE");
        says("tablespace \"fast\" does not exist", "leave the clause out");
        says("type \"citext\" does not exist", "CREATE EXTENSION \"citext\"");
        says("type \"public.geometry\" does not exist", "postgresql-15-postgis-3");
        says("type \"mood\" does not exist", "an earlier migration");
        says("operator class \"gin_trgm_ops\" does not exist for access method \"gin\"", "`pg_trgm`");
        says("function uuid_generate_v4() does not exist", "CREATE EXTENSION \"uuid-ossp\"");
        says("extension \"vector\" is not available", "postgresql-15-pgvector");
        says(
            "could not open extension control file \"/usr/share/extension/hll.control\": No such file or directory",
            "15-hll",
        );
        says("extension \"made_up\" is not available", "have to be installed");
        assert_eq!(missing("function f(integer) does not exist", 15), None);
    }
}

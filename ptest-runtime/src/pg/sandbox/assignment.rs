//! What becomes of `SET`, `RESET` and `DISCARD`: some settings never reach the backend, and others go back to what the
//! session has asked for.

use super::action::{Action, as_it_is, refuse, replaced};
use super::belief::Belief;
use super::control::{Block, Ground};
use super::defaults;
use super::frame::Report;
use super::modes::set_transaction;
use super::settings;

pub(super) fn set_one(
    name: &str,
    text: &str,
    local: bool,
    whole: bool,
    belief: &Belief,
    ground: &Ground<'_>,
) -> Action {
    let value = constant(text);
    if value.eq_ignore_ascii_case("default") && !text.starts_with('\'') {
        return reset_one(name, "SET", local, belief, ground);
    }
    if let Some(modes) = defaults::modes_of(name, &value) {
        if whole && belief.block == Block::Idle {
            return replaced(Vec::new(), "SET", belief.clone());
        }
        return set_transaction("SET", &modes, belief);
    }
    let mut tried = belief.defaults;
    let result = tried.set(name, &value);
    let after = belief.with_defaults(|defaults| drop(defaults.set(name, &value)), local);
    match result {
        _ if !belief.defaults.has(name) => Action { after, ..as_it_is(belief) },
        Ok(()) => replaced(Vec::new(), "SET", after),
        Err(invalid) => {
            refuse(Report { hint: invalid.hint.map(str::to_owned), ..Report::error("22023", invalid.message) }, belief)
        }
    }
}

pub(super) fn reset_one(name: &str, tag: &'static str, local: bool, belief: &Belief, ground: &Ground<'_>) -> Action {
    let after = belief.with_defaults(|defaults| defaults.reset(name, ground.initial_defaults), local);
    match ground.initial.get(name) {
        _ if belief.defaults.has(name) => replaced(Vec::new(), tag, after),
        Some(value) => replaced(vec![settings::set(name, value)], tag, after),
        None => Action { after, ..as_it_is(belief) },
    }
}

pub(super) fn reset_all(ground: &Ground<'_>) -> Vec<String> {
    let initial = ground.initial.iter().filter(|(name, _)| !settings::is_role(name));
    let initial = initial.map(|(name, value)| settings::set(name, value));
    std::iter::once("RESET ALL".to_owned()).chain(initial).collect()
}

/// What the server does for it, as far as it concerns one session.
pub(super) fn discard_all(ground: &Ground<'_>) -> Vec<String> {
    const USER: &str = "session_authorization";
    let mut commands = vec!["SET SESSION AUTHORIZATION DEFAULT".to_owned()];
    commands.extend(ground.initial.get(USER).map(|user| settings::set(USER, user)));
    commands.extend(reset_all(ground));
    commands.push(deallocate_all(ground.prefix));
    let rest =
        ["CLOSE ALL", "UNLISTEN *", "SELECT pg_catalog.pg_advisory_unlock_all()", "DISCARD PLANS", "DISCARD TEMP"];
    commands.extend(rest.map(str::to_owned));
    commands.push("DISCARD SEQUENCES".to_owned());
    commands
}

/// Deallocates all prepared statements of a session but the unnamed one.
pub(super) fn deallocate_all(prefix: &str) -> String {
    format!(
        "DO $_ptest$ DECLARE one text; BEGIN FOR one IN SELECT name FROM pg_catalog.pg_prepared_statements \
         WHERE pg_catalog.starts_with(name, '{prefix}') AND name <> '{prefix}' \
         LOOP EXECUTE pg_catalog.format('DEALLOCATE %I', one); END LOOP; END $_ptest$"
    )
}

/// A constant without its quotes.
pub(super) fn constant(text: &str) -> String {
    match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text).to_owned(),
    }
}

//! The modes of transactions, as a client sets them.

use super::action::{Action, refuse, replaced};
use super::belief::Belief;
use super::control::{FENCE, UNDO};
use super::defaults;
use super::frame::Report;
use super::sql::Modes;

/// The isolation level and `DEFERRABLE` are remembered only; read-only is real.
pub(super) fn set_transaction(tag: &'static str, modes: &Modes, belief: &Belief) -> Action {
    let too_late = |what: &str| refuse(Report::error("25001", what), belief);
    let mut after = belief.in_mode(modes);
    let mut commands = Vec::new();
    if modes.isolation.is_some_and(|level| level != belief.mode.isolation) {
        if belief.queried {
            return too_late("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }
        if belief.in_savepoint() {
            return too_late("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
        }
    }
    if modes.deferrable.is_some() {
        if belief.in_savepoint() {
            return too_late("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
        }
        if belief.queried {
            return too_late("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
        }
    }
    match modes.read_only {
        Some(true) if !belief.fenced => {
            commands.push(FENCE.to_owned());
            after.fenced = true;
        }
        Some(false) if belief.mode.read_only && belief.in_savepoint() => {
            return too_late("cannot set transaction read-write mode inside a read-only transaction");
        }
        Some(false) if belief.mode.read_only && belief.queried => {
            return too_late("transaction read-write mode must be set before any query");
        }
        // Nothing has been done in the transaction but to change settings, so they are changed again after its end.
        Some(false) if belief.fenced => {
            let made = belief.changes.iter().map(|(change, _)| change).take_while(|change| !change.committed);
            let mut again: Vec<_> = made.map(|change| change.sql.clone()).collect();
            again.push(vec![UNDO.to_owned()]);
            commands.extend(again.into_iter().rev().flatten());
            after.fenced = false;
        }
        _ => {}
    }
    replaced(commands, tag, after)
}

pub(super) fn characteristics(modes: &Modes, local: bool, belief: &Belief) -> Action {
    let after = belief.with_defaults(|defaults| defaults.mode = defaults.mode.with(modes), local);
    let real: Vec<String> = of_backend(modes).map(|(_, mode)| mode).collect();
    let commands = if real.is_empty() { Vec::new() } else { vec![characteristics_command(&real.join(", "))] };
    replaced(commands, "SET", after)
}

pub(super) fn characteristics_command(modes: &str) -> String {
    format!("SET SESSION CHARACTERISTICS AS TRANSACTION {modes}")
}

/// The defaults that reach the backend, by the names of their settings.
pub(super) fn of_backend(modes: &Modes) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let isolation = modes.isolation.map(|level| format!("ISOLATION LEVEL {}", defaults::isolation_name(level)));
    let deferrable = modes.deferrable.map(|on| if on { "DEFERRABLE" } else { "NOT DEFERRABLE" }.to_owned());
    let named = [("default_transaction_isolation", isolation), ("default_transaction_deferrable", deferrable)];
    named.into_iter().filter_map(|(name, mode)| Some((name, mode?)))
}

//! The modes of transactions, as a client sets them.

use super::action::{Action, refuse, replaced};
use super::belief::Belief;
use super::control::{FENCE, UNDO};
use super::defaults;
use super::frame::Report;
use super::sql::Modes;

/// The isolation level and `DEFERRABLE` are remembered only; read-only is real.
pub(super) fn set_transaction(tag: &'static str, modes: &Modes, belief: &Belief) -> Action {
    let refused = refusals(modes, belief).into_iter().zip(modes.places);
    if let Some((what, _)) = refused.filter_map(|(what, place)| Some((what?, place))).min_by_key(|(_, place)| *place) {
        return refuse(Report::error("25001", what), belief);
    }
    let mut after = belief.in_mode(modes);
    let mut commands = Vec::new();
    match modes.read_only {
        Some(true) if !belief.fenced => {
            commands.push(FENCE.to_owned());
            after.fenced = true;
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

/// Why a server would refuse the isolation level, read-only or read-write, and `DEFERRABLE`.
fn refusals(modes: &Modes, belief: &Belief) -> [Option<&'static str>; 3] {
    let mut refusals = [None; 3];
    if modes.isolation.is_some_and(|level| level != belief.mode.isolation) {
        if belief.queried {
            refusals[0] = Some("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        } else if belief.in_savepoint() {
            refusals[0] = Some("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
        }
    }
    if modes.read_only == Some(false) && belief.mode.read_only {
        if belief.in_savepoint() {
            refusals[1] = Some("cannot set transaction read-write mode inside a read-only transaction");
        } else if belief.queried {
            refusals[1] = Some("transaction read-write mode must be set before any query");
        }
    }
    if modes.deferrable.is_some() {
        if belief.in_savepoint() {
            refusals[2] = Some("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
        } else if belief.queried {
            refusals[2] = Some("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
        }
    }
    refusals
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

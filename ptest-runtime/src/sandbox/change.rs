//! What a statement changes of the settings and temporary tables of its session.

use super::action::{Action, Answer, Course};
use super::belief::{Belief, Change};
use super::commit;
use super::control::{Block, Ground};
use super::settings::{self, Call};
use super::sql::{Hints, Kind, Statement};

/// Notes what the statement changes of the backend's settings.
pub(super) fn note_change(
    action: &mut Action,
    statement: &Statement,
    sql: &[u8],
    belief: &Belief,
    ground: &Ground<'_>,
) {
    let sent = match &action.course {
        _ if belief.block == Block::Failed => return,
        Course::Replaced(_, Answer::Error(_)) => return,
        Course::Replaced(commands, _) => commands.join(";"),
        Course::Sent(_) => String::from_utf8_lossy(&sql[statement.range.clone()]).into_owned(),
    };
    let mut change = |name: Option<&str>, local, sql| {
        action.after = action.after.with_change(Change { name: name.map(str::to_owned), local, sql, committed: false });
    };
    match &statement.kind {
        Kind::Set { name, .. } | Kind::Reset { name: Some(name) }
            if belief.defaults.has(name) || name.starts_with("transaction_") => {}
        Kind::Set { name, local, .. } => change(Some(name), *local, Some(sent)),
        Kind::Reset { name } => change(name.as_deref(), false, Some(sent)),
        // No setting, but changed and undone like one.
        Kind::SetConstraints => change(Some("constraints"), false, Some(sent)),
        Kind::SetSessionCharacteristics { local, .. } => {
            change(Some("default_transaction_isolation"), *local, Some(sent.clone()));
            change(Some("default_transaction_deferrable"), *local, Some(sent));
        }
        _ if statement.hints.contains(Hints::SET_CONFIG) => {
            for Call { name, value, local } in settings::calls(&sql[statement.range.clone()], ground.values) {
                let sql = name.as_ref().zip(value).map(|(name, value)| settings::set(name, &value));
                change(name.as_deref(), local, sql);
            }
        }
        _ => {}
    }
    if statement.hints.contains(Hints::TEMP)
        && let Some((name, clause)) = commit::on_commit(&sql[statement.range.clone()])
    {
        action.after = action.after.with_temporary(name, clause);
    }
}

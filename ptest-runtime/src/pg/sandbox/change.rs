//! What a statement changes of the settings and temporary tables of its session.

use super::action::{Action, Answer, Course};
use super::belief::{Belief, Change, Setting};
use super::commit;
use super::control::{Block, Ground};
use super::modes;
use super::settings::{self, Call};
use super::sql::{Hints, Kind, Statement};

/// Notes what the statement changes.
pub(super) fn note_changes(
    action: &mut Action,
    statement: &Statement,
    sql: &[u8],
    belief: &Belief,
    ground: &Ground<'_>,
) {
    let text = &sql[statement.range.clone()];
    let sent = match &action.course {
        _ if belief.block == Block::Failed => return,
        Course::Replaced(_, Answer::Error(_)) => return,
        Course::Replaced(commands, _) => commands.clone(),
        Course::Sent(_) => vec![String::from_utf8_lossy(text).into_owned()],
    };
    let after = &mut action.after;
    match &statement.kind {
        Kind::Set { name, .. } | Kind::Reset { name: Some(name) }
            if belief.defaults.has(name) || name.starts_with("transaction_") => {}
        Kind::Set { name, local, .. } => note(after, named(name), *local, sent),
        Kind::Reset { name: Some(name) } => note(after, named(name), false, sent),
        Kind::Reset { name: None } => note(after, Setting::All, false, sent),
        // Whatever becomes of its batch.
        Kind::DiscardAll => {
            *after = after.with_change(Change { of: Setting::All, local: false, sql: sent, committed: true });
        }
        Kind::SetConstraints => note(after, Setting::Constraints, false, sent),
        Kind::SetSessionCharacteristics { local, modes } => {
            for (name, mode) in modes::of_backend(modes) {
                note(after, named(name), *local, vec![modes::characteristics_command(&mode)]);
            }
        }
        _ if statement.hints.contains(Hints::SET_CONFIG) => {
            for Call { name, value, local } in settings::calls(text, ground.values) {
                let known = name.as_deref().zip(value.as_deref());
                let sql = known.map(|(name, value)| settings::set(name, value));
                note(after, name.clone().map_or(Setting::Unknown, Setting::Called), local, sql.into_iter().collect());
                if let Some((name, value)) = known {
                    *after = after.with_defaults(|defaults| drop(defaults.set(name, value)), local);
                }
            }
        }
        _ => {}
    }
    if statement.hints.contains(Hints::TEMP)
        && let Some((name, clause)) = commit::on_commit(text)
    {
        *after = after.with_temporary(name, clause);
    }
}

fn named(name: &str) -> Setting {
    Setting::Named(name.to_owned())
}

fn note(after: &mut Belief, of: Setting, local: bool, sql: Vec<String>) {
    let leaves_role = matches!(&of, Setting::Named(name) | Setting::Called(name) if name == "session_authorization");
    *after = after.with_change(Change { of, local, sql, committed: false });
    // Whoever becomes another user leaves the role, for as long.
    if leaves_role {
        note(after, named("role"), local, vec!["SET ROLE NONE".to_owned()]);
    }
}

//! A simple query as the backend gets it: the client's string, with its control statements replaced in place.
//!
//! The string is spliced, never split: a syntax error anywhere in it runs none of it, as on a server.

use std::collections::VecDeque;
use std::ops::Range;

use super::action::{Action, Answer, Course};
use super::belief::Belief;
use super::control::{self, Ground, Place};
use super::frame::Report;
use super::sql::Statement;

/// What a simple query becomes, and how its answers become the client's.
#[derive(Debug)]
pub(super) struct Script {
    /// The string for the backend; `None`: the client's own.
    pub(super) sql: Option<Vec<u8>>,
    pub(super) steps: VecDeque<Step>,
    /// The client's string has no statement.
    pub(super) empty: bool,
    /// Where the client's own text stands: (character in the spliced string, character in the client's), from 0.
    positions: Vec<(usize, usize)>,
}

/// One statement of the client.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) warning: Option<Report>,
    /// How many commands of the backend it takes.
    pub(super) commands: usize,
    /// `None`: the server's own answers.
    pub(super) answer: Option<Answer>,
    pub(super) after: Belief,
    pub(super) on_error: Belief,
    /// The character of the client's string at which it starts.
    pub(super) start: usize,
}

/// A command that is sure to fail where a statement of the client is refused: the string must stop there.
pub(super) const REFUSED: &str = "RELEASE SAVEPOINT _ptest_refused";
/// What its error names.
pub(super) const REFUSED_NAME: &str = "_ptest_refused";

/// A command that does nothing. The answer to a statement that needs no command would else come before the server has
/// found the string to be without a syntax error, or has committed.
const NOTHING: &str = "SHOW server_version_num";

impl Script {
    /// Replaces what `statements` has of control, for a client that believes to be at `belief`, perhaps inside a batch of
    /// the extended protocol.
    pub(super) fn new(
        sql: &[u8],
        statements: &[Statement],
        belief: &Belief,
        in_batch: bool,
        ground: &Ground<'_>,
    ) -> Script {
        let place = match statements.len() {
            1 if in_batch => Place::InBatch,
            1 => Place::Alone,
            _ => Place::AmongOthers,
        };
        let steps = VecDeque::with_capacity(statements.len());
        let mut script = Script { sql: None, steps, empty: statements.is_empty(), positions: Vec::new() };
        let mut splices = Vec::new();
        let mut belief = belief.clone();
        for statement in statements {
            let action = control::action(statement, sql, &belief, place, ground);
            belief = action.after.clone();
            let (commands, answer) = match action.course {
                Course::Sent(replacements) => {
                    splices.extend(replacements);
                    (1, None)
                }
                Course::Replaced(mut commands, answer) => {
                    if matches!(answer, Answer::Error(_)) {
                        commands.push(REFUSED.to_owned());
                    } else if commands.is_empty() {
                        commands.push(NOTHING.to_owned());
                    }
                    splices.push((statement.range.clone(), commands.join(";")));
                    (commands.len(), Some(answer))
                }
            };
            let Action { warning, after, on_error, .. } = action;
            let start = characters(&sql[..statement.range.start]);
            script.steps.push_back(Step { warning, commands, answer, after, on_error, start });
        }
        if !splices.is_empty() {
            script.splice(sql, splices);
        }
        script
    }

    /// A string in which nothing but names is replaced, if there are any.
    pub(super) fn of_names(sql: &[u8], splices: Vec<(Range<usize>, String)>) -> Option<Box<Script>> {
        if splices.is_empty() {
            return None;
        }
        let mut script = Script { sql: None, steps: VecDeque::new(), empty: true, positions: Vec::new() };
        script.splice(sql, splices);
        Some(Box::new(script))
    }

    fn splice(&mut self, sql: &[u8], splices: Vec<(Range<usize>, String)>) {
        let mut out = Vec::with_capacity(sql.len());
        let mut copied = 0;
        for (range, text) in splices {
            self.copy(&mut out, sql, copied..range.start);
            copied = range.end;
            out.extend_from_slice(text.as_bytes());
        }
        self.copy(&mut out, sql, copied..sql.len());
        self.sql = Some(out);
    }

    fn copy(&mut self, out: &mut Vec<u8>, sql: &[u8], range: Range<usize>) {
        self.positions.push((characters(out), characters(&sql[..range.start])));
        out.extend_from_slice(&sql[range]);
    }

    /// The position in the client's string of a position in the spliced one (both from 1, as in an error's field).
    pub(super) fn position(&self, spliced: usize) -> usize {
        let at = spliced.saturating_sub(1);
        self.positions
            .iter()
            .rev()
            .find(|(out, _)| *out <= at)
            .map_or(spliced, |(out, original)| at - out + original + 1)
    }
}

/// Error positions count characters, and the client encoding is UTF-8 or close enough to it.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| !matches!(b, 0x80..=0xbf)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::sandbox::commit::Duties;
    use crate::pg::sandbox::constraints::Constraints;
    use crate::pg::sandbox::control::Block;
    use crate::pg::sandbox::defaults::Defaults;
    use crate::pg::sandbox::settings::Settings;
    use crate::pg::sandbox::sql;

    fn script(text: &str, block: Block) -> Script {
        let statements = sql::split(text.as_bytes(), true);
        let (duties, settings) = (Duties::new(Constraints::None), Settings::default());
        let defaults = Defaults::of_server(15);
        let belief = Belief::new(defaults).at(block);
        let ground = Ground {
            duties: &duties,
            before: &settings,
            user: "u",
            initial: &settings,
            initial_defaults: &defaults,
            prefix: "7.",
            values: &[],
        };
        Script::new(text.as_bytes(), &statements, &belief, false, &ground)
    }

    fn spliced(text: &str, block: Block) -> String {
        let script = script(text, block);
        script.sql.map_or_else(|| "(as it is)".to_owned(), |s| String::from_utf8(s).unwrap())
    }

    #[test]
    fn a_string_without_control_goes_as_it_is() {
        assert_eq!(spliced("insert 1; select 2", Block::Idle), "(as it is)");
    }

    #[test]
    fn control_in_the_middle_of_a_string() {
        assert_eq!(
            spliced("insert 1; BEGIN; insert 2; COMMIT; insert 3", Block::Idle),
            "insert 1; SHOW server_version_num; insert 2; CLOSE ALL;RELEASE SAVEPOINT _ptest_savepoint;SAVEPOINT _ptest_savepoint; insert 3"
        );
        assert_eq!(spliced("commit", Block::Failed), "ROLLBACK TO SAVEPOINT _ptest_savepoint");
    }

    #[test]
    fn no_real_transaction_control_is_left() {
        for block in [Block::Idle, Block::Open, Block::Failed] {
            let out = spliced("begin; commit; rollback; start transaction; end; abort; commit and chain", block);
            for word in out.split(';').map(str::trim) {
                assert!(
                    ["", NOTHING, "CLOSE ALL", control::UNDO, control::KEEP[0], control::KEEP[1], REFUSED]
                        .contains(&word)
                        || (block == Block::Failed && word == "begin"),
                    "{word} in {out}"
                );
            }
        }
    }

    #[test]
    fn positions_count_in_the_clients_string() {
        let text = "bégin; select é; commit; execute a(oops)".replace("bégin", "begin");
        let script = script(&text, Block::Idle);
        let out = String::from_utf8(script.sql.clone().unwrap()).unwrap();
        let at = |s: &str, needle: &str| s.find(needle).map(|i| s[..i].chars().count() + 1).unwrap();
        for needle in ["select é", "oops"] {
            assert_eq!(script.position(at(&out, needle)), at(&text, needle));
        }
    }
}

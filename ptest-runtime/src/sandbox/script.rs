//! A simple query as the backend gets it: the client's string, with its control statements replaced in place.
//!
//! The string is spliced, never split: a syntax error anywhere in it runs none of it, as on a server.

use std::collections::VecDeque;

use super::control::{self, Answer, Block, Constraints, Place};
use super::frame::Report;
use super::sql::Statement;

/// What a simple query becomes, and how its answers become the client's.
#[derive(Debug)]
pub(super) struct Script {
    /// The string for the backend; `None`: the client's own.
    pub(super) sql: Option<Vec<u8>>,
    pub(super) steps: VecDeque<Step>,
    /// Where the client's own statements stand: (character in the spliced string, character in the client's), from 0.
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
    pub(super) block: Block,
    pub(super) on_error: Block,
}

/// A command that is sure to fail where a statement of the client is refused: the string must stop there.
pub(super) const REFUSED: &str = "ROLLBACK TO SAVEPOINT _ptest_refused";

impl Script {
    /// Replaces what `statements` has of control, for a client whose block is `block`.
    pub(super) fn new(sql: &[u8], statements: &[Statement], mut block: Block, constraints: &Constraints) -> Script {
        let place = if statements.len() == 1 { Place::Alone } else { Place::AmongOthers };
        let mut script = Script { sql: None, steps: VecDeque::with_capacity(statements.len()), positions: Vec::new() };
        let mut spliced: Option<Vec<u8>> = None;
        let mut copied = 0;
        for statement in statements {
            let action = control::action(statement, sql, block, place, constraints);
            let step = match action {
                None => Step { warning: None, commands: 1, answer: None, block, on_error: block.after_error() },
                Some(action) => {
                    let out = spliced.get_or_insert_default();
                    script.copy(out, sql, copied..statement.range.start);
                    copied = statement.range.end;
                    let mut commands = action.commands;
                    if matches!(action.answer, Answer::Error(_)) {
                        commands.push(REFUSED.to_owned());
                    }
                    out.extend_from_slice(commands.join(";").as_bytes());
                    Step {
                        warning: action.warning,
                        commands: commands.len(),
                        answer: Some(action.answer),
                        block: action.block,
                        on_error: action.on_error,
                    }
                }
            };
            block = step.block;
            script.steps.push_back(step);
        }
        if let Some(mut out) = spliced {
            script.copy(&mut out, sql, copied..sql.len());
            script.sql = Some(out);
        }
        script
    }

    fn copy(&mut self, out: &mut Vec<u8>, sql: &[u8], range: std::ops::Range<usize>) {
        self.positions.push((characters(out), characters(&sql[..range.start])));
        out.extend_from_slice(&sql[range]);
    }

    /// Whether the backend gets nothing but blanks: the whole string was control that needs no message.
    pub(super) fn is_local(&self) -> bool {
        self.sql.is_some() && self.steps.iter().all(|step| step.commands == 0)
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
    use crate::sandbox::sql;

    fn spliced(text: &str, block: Block) -> String {
        let statements = sql::split(text.as_bytes(), true);
        let script = Script::new(text.as_bytes(), &statements, block, &Constraints::None);
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
            "insert 1; ; insert 2; RELEASE SAVEPOINT _ptest_savepoint;SAVEPOINT _ptest_savepoint; insert 3"
        );
        assert_eq!(spliced("commit", Block::Failed), "ROLLBACK TO SAVEPOINT _ptest_savepoint");
    }

    #[test]
    fn no_real_transaction_control_is_left() {
        for block in [Block::Idle, Block::Open, Block::Failed] {
            let out = spliced("begin; commit; rollback; start transaction; end; abort; commit and chain", block);
            for word in out.split(';').map(str::trim) {
                assert!(
                    ["", control::UNDO, control::KEEP[0], control::KEEP[1], REFUSED].contains(&word)
                        || (block == Block::Failed && word == "begin"),
                    "{word} in {out}"
                );
            }
        }
    }

    #[test]
    fn positions_count_in_the_clients_string() {
        let text = "bégin; select é; commit; select oops".replace("bégin", "begin");
        let statements = sql::split(text.as_bytes(), true);
        let script = Script::new(text.as_bytes(), &statements, Block::Idle, &Constraints::None);
        let out = String::from_utf8(script.sql.clone().unwrap()).unwrap();
        let at = |s: &str, needle: &str| s.find(needle).map(|i| s[..i].chars().count() + 1).unwrap();
        for needle in ["select é", "oops"] {
            assert_eq!(script.position(at(&out, needle)), at(&text, needle));
        }
    }
}

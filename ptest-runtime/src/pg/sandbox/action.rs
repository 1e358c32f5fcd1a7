//! What a statement of a client becomes, as data.

use std::ops::Range;

use bytes::BytesMut;

use super::belief::Belief;
use super::control::Block;
use super::frame::{self, Report};

/// What a statement becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Action {
    /// A notice for the client, before its answer.
    pub(super) warning: Option<Report>,
    pub(super) course: Course,
    /// What the client believes then.
    pub(super) after: Belief,
    /// What the client believes if it fails.
    pub(super) on_error: Belief,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// It goes to the server as it is, with these parts of the client's string replaced.
    Sent(Vec<(Range<usize>, String)>),
    /// These commands go in its place, and this is the answer once they have succeeded.
    Replaced(Vec<String>, Answer),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Tag(&'static str),
    /// One row of one text column, as `SHOW` answers.
    Row {
        name: String,
        value: String,
    },
    Error(Report),
}

impl Action {
    pub(super) fn warn(mut self, code: &'static str, message: &str) -> Self {
        self.warning = Some(Report::warning(code, message));
        self
    }

    /// Unless it fails, the client is in a transaction block then.
    pub(super) fn in_block(mut self) -> Self {
        if let Course::Replaced(_, Answer::Tag(_)) = self.course {
            self.on_error = self.after.at(Block::Idle);
            self.after.block = Block::Open;
        }
        self
    }

    /// Whether the statement itself does not go to the server.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self.course, Course::Replaced(..))
    }
}

impl Answer {
    /// Writes the answer; `described`: with the description that a simple query gets.
    pub(super) fn put(&self, described: bool, out: &mut BytesMut) {
        self.put_rows(described, out);
        self.put_end(out);
    }

    /// Writes what comes before the tag.
    pub(super) fn put_rows(&self, described: bool, out: &mut BytesMut) {
        if let Answer::Row { name, value } = self {
            if described {
                frame::put_text_column(out, name);
            }
            frame::put_text_row(out, value);
        }
    }

    /// Writes the tag, or the error.
    pub(super) fn put_end(&self, out: &mut BytesMut) {
        match self {
            Answer::Tag(tag) => frame::put_tag(out, tag),
            Answer::Row { .. } => frame::put_tag(out, "SHOW"),
            Answer::Error(report) => report.put(out),
        }
    }
}

pub(super) fn answered(answer: Answer, belief: &Belief) -> Action {
    let course = Course::Replaced(Vec::new(), answer);
    Action { warning: None, course, after: belief.clone(), on_error: belief.failed() }
}

pub(super) fn replaced(commands: Vec<String>, tag: &'static str, after: Belief) -> Action {
    Action { course: Course::Replaced(commands, Answer::Tag(tag)), on_error: after.failed(), warning: None, after }
}

pub(super) fn as_it_is(belief: &Belief) -> Action {
    Action { course: Course::Sent(Vec::new()), ..answered(Answer::Tag(""), belief) }
}

/// An error of the sandbox's in the server's place.
pub(super) fn refuse(report: Report, belief: &Belief) -> Action {
    Action { after: belief.failed(), ..answered(Answer::Error(report), belief) }
}

/// The server's answer to what only a transaction block allows.
pub(super) fn outside(statement: &str, belief: &Belief) -> Action {
    refuse(Report::error("25P01", format!("{statement} can only be used in transaction blocks")), belief)
}

pub(super) fn end(tag: &'static str, commands: Vec<String>, chain: bool, kept: bool, belief: &Belief) -> Action {
    let after = if chain { belief.chained(kept) } else { belief.ended(kept) };
    replaced(commands, tag, after)
}

//! The modes of a transaction in a statement.

use super::grammar::Parser;
use super::statement::{Isolation, Modes};

impl Parser<'_> {
    /// The modes of a transaction up to the end of the statement, with or without commas between them.
    pub(super) fn modes(&mut self) -> Option<Modes> {
        let mut modes = Modes::default();
        if self.is_end() {
            return Some(modes);
        }
        for place in 1.. {
            let which = if self.accept(b"isolation") {
                self.expect(b"level")?;
                modes.isolation = Some(self.isolation()?);
                0
            } else if self.accept(b"read") {
                modes.read_only = Some(self.accept(b"only"));
                if modes.read_only == Some(false) {
                    self.expect(b"write")?;
                }
                1
            } else {
                modes.deferrable = Some(!self.accept(b"not"));
                self.expect(b"deferrable")?;
                2
            };
            modes.places[which] = place;
            if self.is_end() {
                return Some(modes);
            }
            self.accept_char(b',');
        }
        None
    }

    fn isolation(&mut self) -> Option<Isolation> {
        if self.accept(b"serializable") {
            Some(Isolation::Serializable)
        } else if self.accept(b"repeatable") {
            self.expect(b"read").map(|()| Isolation::RepeatableRead)
        } else {
            self.expect(b"read")?;
            if self.accept(b"committed") {
                return Some(Isolation::ReadCommitted);
            }
            self.expect(b"uncommitted").map(|()| Isolation::ReadUncommitted)
        }
    }
}

//! The traffic of a session: what of it is still to be answered, and so whether the session is at rest.

use std::collections::VecDeque;

/// Nothing here is certain of a session that copies, or whose client speaks otherwise than a client does: it is not at rest.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// The tags of messages that a `ReadyForQuery` answers, and that it has not answered.
    unanswered: VecDeque<u8>,
    /// Messages of the extended protocol were sent behind the last of those.
    in_batch: bool,
    /// As in the last `ReadyForQuery`.
    status: u8,
    /// What was sent can no longer be told.
    is_lost: bool,
}

impl Traffic {
    /// The client has sent a message.
    pub(super) fn sent(&mut self, tag: u8) {
        match tag {
            b'Q' | b'F' | b'S' => {
                self.unanswered.push_back(tag);
                self.in_batch = false;
            }
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' => self.in_batch = true,
            _ => {}
        }
    }

    /// The server has sent a message.
    pub(super) fn answered(&mut self, tag: u8, body: &[u8]) {
        match tag {
            b'Z' => {
                self.unanswered.pop_front();
                self.status = body.first().copied().unwrap_or_default();
            }
            // In copy-in mode the server ignores what it has got of them (PostgreSQL manual, section 55.2.6).
            b'G' => self.unanswered.retain(|tag| *tag != b'S'),
            _ => {}
        }
    }

    /// The client's messages can no longer be told apart.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The server owes an answer.
    pub(super) fn is_busy(&self) -> bool {
        !self.unanswered.is_empty()
    }

    pub(super) fn in_transaction(&self) -> bool {
        matches!(self.status, b'T' | b'E')
    }

    /// Outside of a transaction, with nothing under way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.status == b'I' && self.unanswered.is_empty() && !self.in_batch && !self.is_lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(messages: &[&str]) -> Traffic {
        let mut traffic = Traffic { status: b'I', ..Traffic::default() };
        for message in messages {
            match message.as_bytes() {
                [b'>', tag] => traffic.sent(*tag),
                [b'<', tag, body @ ..] => traffic.answered(*tag, body),
                _ => panic!("{message}"),
            }
        }
        traffic
    }

    #[test]
    fn at_rest_is_who_has_all_answers_outside_of_a_transaction() {
        for (messages, at_rest) in [
            (&[] as &[&str], true),
            (&[">Q"], false),
            (&[">Q", "<C", "<ZI"], true),
            (&[">Q", "<ZT"], false),
            (&[">Q", "<ZE"], false),
            (&[">P", ">B", ">E"], false),
            (&[">P", ">B", ">E", ">S"], false),
            (&[">P", ">B", ">E", ">S", "<ZI"], true),
            (&[">S", ">P", "<ZI"], false),
            (&[">Q", ">Q", "<ZI"], false),
            (&[">E", ">S", "<G", ">d", ">c", ">S", "<ZI"], true),
            (&[">Q", "<G", ">d", ">S"], false),
        ] {
            assert_eq!(after(messages).is_at_rest(), at_rest, "{messages:?}");
        }
    }

    #[test]
    fn who_cannot_be_told_is_never_at_rest() {
        let mut traffic = after(&[">Q", "<ZI"]);
        traffic.lose();
        assert!(!traffic.is_at_rest());
    }
}

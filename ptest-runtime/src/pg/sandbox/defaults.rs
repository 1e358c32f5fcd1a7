//! The settings that must never reach the backend, and those that the sandbox must know, with their values as the server
//! reads and shows them.
//!
//! Read-only by default would undo the fence behind the rules (or the rules themselves), and a timer for idle
//! transactions would kill the backend, whose transaction is always open.

use super::sql::{Isolation, Modes};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) isolation: Isolation,
    pub(super) read_only: bool,
    pub(super) deferrable: bool,
}

/// The settings that are a session's own and never the backend's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) mode: Mode,
    /// `idle_in_transaction_session_timeout`, in milliseconds.
    pub(super) idle_timeout: i32,
    /// `transaction_timeout`; `None`: the server has no such setting.
    pub(super) transaction_timeout: Option<i32>,
    /// `standard_conforming_strings`, which decides where a string ends. The backend has it as well.
    pub(super) standard_strings: bool,
    /// Whether what follows a statement in a pipeline is in a transaction block, which the server does not name.
    pub(super) piped_block: bool,
}

/// A value that a setting cannot have, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

impl Defaults {
    /// The defaults of a session that asks for nothing, on a server of this major version.
    pub(super) fn of_server(version: u32) -> Self {
        let mode = Mode { isolation: Isolation::ReadCommitted, read_only: false, deferrable: false };
        let transaction_timeout = (version >= 17).then_some(0);
        Defaults { mode, idle_timeout: 0, transaction_timeout, standard_strings: true, piped_block: version >= 18 }
    }

    /// Whether the setting never reaches the backend.
    pub(super) fn has(&self, name: &str) -> bool {
        match name {
            "default_transaction_read_only" | "idle_in_transaction_session_timeout" => true,
            "transaction_timeout" => self.transaction_timeout.is_some(),
            _ => false,
        }
    }

    /// Gives a setting another value.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        match name {
            "default_transaction_read_only" => self.mode.read_only = boolean(name, value)?,
            "idle_in_transaction_session_timeout" => self.idle_timeout = milliseconds(name, value)?,
            "transaction_timeout" => self.transaction_timeout = Some(milliseconds(name, value)?),
            // The backend has these as well, and judges the value.
            "default_transaction_deferrable" => self.mode.deferrable = boolean(name, value)?,
            "default_transaction_isolation" => {
                self.mode.isolation = isolation(value).unwrap_or(self.mode.isolation);
            }
            "standard_conforming_strings" => self.standard_strings = boolean(name, value)?,
            _ => {}
        }
        Ok(())
    }

    /// Gives a setting the value that it has in `other`.
    pub(super) fn reset(&mut self, name: &str, other: &Defaults) {
        match name {
            "default_transaction_read_only" => self.mode.read_only = other.mode.read_only,
            "default_transaction_deferrable" => self.mode.deferrable = other.mode.deferrable,
            "default_transaction_isolation" => self.mode.isolation = other.mode.isolation,
            "idle_in_transaction_session_timeout" => self.idle_timeout = other.idle_timeout,
            "transaction_timeout" => self.transaction_timeout = other.transaction_timeout,
            "standard_conforming_strings" => self.standard_strings = other.standard_strings,
            _ => {}
        }
    }
}

impl Mode {
    pub(super) fn with(self, modes: &Modes) -> Mode {
        Mode {
            isolation: modes.isolation.unwrap_or(self.isolation),
            read_only: modes.read_only.unwrap_or(self.read_only),
            deferrable: modes.deferrable.unwrap_or(self.deferrable),
        }
    }
}

/// The modes that `SET transaction_… = value` means; `None`: it is another setting, or no value of it.
pub(super) fn modes_of(name: &str, value: &str) -> Option<Modes> {
    let modes = Modes::default();
    match name {
        "transaction_isolation" => Some(Modes { isolation: Some(isolation(value)?), ..modes }),
        "transaction_read_only" => Some(Modes { read_only: Some(boolean(name, value).ok()?), ..modes }),
        "transaction_deferrable" => Some(Modes { deferrable: Some(boolean(name, value).ok()?), ..modes }),
        _ => None,
    }
}

pub(super) fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "read uncommitted",
        Isolation::ReadCommitted => "read committed",
        Isolation::RepeatableRead => "repeatable read",
        Isolation::Serializable => "serializable",
    }
}

fn isolation(value: &str) -> Option<Isolation> {
    use Isolation::{ReadCommitted, ReadUncommitted, RepeatableRead, Serializable};
    [ReadUncommitted, ReadCommitted, RepeatableRead, Serializable]
        .into_iter()
        .find(|level| isolation_name(*level).eq_ignore_ascii_case(value))
}

/// A truth value as the server reads it: a word, or its beginning where that is enough.
fn boolean(name: &str, value: &str) -> Result<bool, Invalid> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&*value);
    if begins("true", 1) || begins("yes", 1) || value == "on" || value == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || value == "0" {
        Ok(false)
    } else {
        Err(Invalid { message: format!("parameter \"{name}\" requires a Boolean value"), hint: None })
    }
}

const UNITS: [(&str, f64); 6] =
    [("us", 0.001), ("ms", 1.0), ("s", 1e3), ("min", 60e3), ("h", 3_600e3), ("d", 86_400e3)];

fn milliseconds(name: &str, value: &str) -> Result<i32, Invalid> {
    let invalid = |hint| Invalid { message: format!("invalid value for parameter \"{name}\": \"{value}\""), hint };
    let text = value.trim();
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| invalid(None))?;
    let factor = match text[end..].trim() {
        "" => 1.0,
        unit => {
            let hint = "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".";
            UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| invalid(Some(hint)))?.1
        }
    };
    let total = (number * factor).round_ties_even();
    if total > f64::from(i32::MAX) {
        return Err(invalid(Some("Value exceeds integer range.")));
    }
    if total < 0.0 {
        let message = format!("{total} ms is outside the valid range for parameter \"{name}\" (0 ms .. 2147483647 ms)");
        return Err(Invalid { message, hint: None });
    }
    Ok(total as i32)
}

/// The value in the largest unit that fits.
pub(super) fn show_milliseconds(value: i32) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
    match units.into_iter().find(|(size, _)| value > 0 && value % size == 0) {
        Some((size, unit)) => format!("{}{unit}", value / size),
        None => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_and_shown_as_a_server_does() {
        let name = "idle_in_transaction_session_timeout";
        for (text, shown) in
            [("0", "0"), ("5000", "5s"), ("90s", "90s"), ("1.5min", "90s"), (" 2 h ", "2h"), ("7", "7ms")]
        {
            assert_eq!(show_milliseconds(milliseconds(name, text).unwrap()), shown, "{text}");
        }
        for text in ["", "x", "5 parsecs", "-1", "99999999999"] {
            assert!(milliseconds(name, text).is_err(), "{text}");
        }
    }

    #[test]
    fn truth_has_many_words() {
        for (text, value) in [("ON", true), ("t", true), ("ye", true), ("1", true), ("of", false), ("N", false)] {
            assert_eq!(boolean("x", text), Ok(value), "{text}");
        }
        assert!(boolean("x", "o").is_err());
    }
}

//! The values of variables that are neither a path nor a URL.

use std::ffi::OsString;
use std::time::Duration;

use super::ConfigError;
use crate::audit::Severities;

/// The severities of findings.
pub(super) fn severities(variable: &'static str, value: OsString) -> Result<Severities, ConfigError> {
    let text = text(variable, value)?;
    Severities::parse(&text).map_err(|source| ConfigError::Audit { variable, text, source })
}

/// A name.
pub(super) fn text(variable: &'static str, value: OsString) -> Result<String, ConfigError> {
    value.into_string().map_err(|_| ConfigError::NotUnicode { variable })
}

/// The meaning of a variable that has few values.
pub(super) fn one_of<T: Copy>(
    variable: &'static str,
    value: Option<OsString>,
    known: &'static [(&'static str, T)],
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    match known.iter().find(|(name, _)| value == *name) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => {
            let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            let (value, expected) = (value.to_string_lossy().into_owned(), names.join(" or ").into());
            Err(ConfigError::Value { variable, value, expected })
        }
    }
}

/// A number of seconds, minutes or hours; `None`: for ever.
pub(super) fn idle_timeout(variable: &'static str, value: &OsString) -> Result<Option<Duration>, ConfigError> {
    let invalid = || ConfigError::Value {
        variable,
        value: value.to_string_lossy().into_owned(),
        expected: "a number with a unit, such as `90s`, `10m` or `2h`, or `0`, or `never`".into(),
    };
    let text = value.to_str().ok_or_else(invalid)?;
    match text {
        "never" => return Ok(None),
        "0" => return Ok(Some(Duration::ZERO)),
        _ => {}
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(invalid()),
    };
    // `parse` alone would take `+5`.
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let seconds = number.and_then(|number| number.checked_mul(unit)).ok_or_else(invalid)?;
    Ok(Some(Duration::from_secs(seconds)))
}

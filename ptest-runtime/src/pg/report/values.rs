//! The values that a statement was run with, as far as they can be shown: texts, numbers, times; of others, type and size.

use std::fmt::Write;

use super::redact::redacted;

/// How many characters of a value are shown, and of all values of a statement.
const VALUE: usize = 60;
const VALUES: usize = 400;

/// The values in the body of a Bind behind its names (PostgreSQL manual, section 55.7), which may be cut.
pub(super) fn shown(bind: &[u8], types: &[u32]) -> String {
    let mut out = String::new();
    let mut body = Reader(bind);
    let Some(formats) = body.u16().and_then(|count| (0..count).map(|_| body.u16()).collect::<Option<Vec<u16>>>())
    else {
        return out;
    };
    let count = body.u16().unwrap_or(0);
    for number in 0..usize::from(count) {
        let format = formats.get(number).or(formats.first().filter(|_| formats.len() == 1)).copied().unwrap_or(0);
        let value = match body.u32() {
            Some(length) => match usize::try_from(length.cast_signed()) {
                Ok(length) => {
                    let there = body.take(length.min(body.0.len())).unwrap_or_default();
                    value(there, length, format == 1, types.get(number).copied().unwrap_or(0))
                }
                Err(_) => "null".to_owned(),
            },
            None => "…".to_owned(),
        };
        let _ = write!(out, "{}${} = {value}", if number == 0 { "" } else { ", " }, number + 1);
        if value == "…" || out.len() > VALUES {
            if number + 1 < usize::from(count) {
                out.push_str(", …");
            }
            break;
        }
    }
    out
}

/// One value, of which `bytes` may be the head only.
fn value(bytes: &[u8], length: usize, binary: bool, kind: u32) -> String {
    if !binary {
        return match kind {
            BOOL | INT2 | INT4 | INT8 | OID | FLOAT4 | FLOAT8 | NUMERIC => String::from_utf8_lossy(bytes).into_owned(),
            _ => quoted(bytes, length),
        };
    }
    let known = if bytes.len() == length { fixed(bytes, kind) } else { None };
    match kind {
        TEXT | VARCHAR | BPCHAR | NAME | UNKNOWN | JSON | XML | CHAR => quoted(bytes, length),
        JSONB => quoted(bytes.get(1..).unwrap_or_default(), length.saturating_sub(1)),
        _ => known.unwrap_or_else(|| format!("<{}{length} bytes>", type_name(kind))),
    }
}

const BOOL: u32 = 16;
const CHAR: u32 = 18;
const NAME: u32 = 19;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const OID: u32 = 26;
const JSON: u32 = 114;
const XML: u32 = 142;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const UNKNOWN: u32 = 705;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;

/// The binary forms of a fixed size (`send` functions of the types).
fn fixed(bytes: &[u8], kind: u32) -> Option<String> {
    Some(match kind {
        BOOL => (*bytes.first()? != 0).to_string(),
        INT2 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        INT4 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        INT8 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        OID => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        FLOAT4 => f32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        FLOAT8 => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        UUID => {
            let hex = format!("{:032x}", u128::from_be_bytes(bytes.try_into().ok()?));
            format!("'{}-{}-{}-{}-{}'", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        DATE => format!("'{}'", date(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)))?),
        TIMESTAMP | TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?);
            let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
            let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let zone = if kind == TIMESTAMPTZ { "Z" } else { "" };
            let fraction = format!(".{fraction:06}");
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            format!("'{} {hours:02}:{minutes:02}:{seconds:02}{fraction}{zone}'", date(days)?)
        }
        _ => return None,
    })
}

const DAY: i64 = 86_400_000_000;

/// The date so many days after the first of January 2000; `None` for infinity, or a year of more than four digits.
fn date(days: i64) -> Option<String> {
    // Eras of 400 years that begin on the first of March.
    let days = days.checked_add(10_957 + 719_468).filter(|days| (0..4_000_000).contains(days))?;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    (year < 10_000).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// The names of types whose values are not shown; empty where the type is not known.
fn type_name(kind: u32) -> String {
    let name = match kind {
        0 => return String::new(),
        17 => "bytea",
        1007 => "int4[]",
        1009 => "text[]",
        1015 => "varchar[]",
        1016 => "int8[]",
        1083 => "time",
        1186 => "interval",
        2951 => "uuid[]",
        869 => "inet",
        NUMERIC => "numeric",
        DATE => "date",
        TIMESTAMP => "timestamp",
        TIMESTAMPTZ => "timestamptz",
        other => return format!("type {other}, "),
    };
    format!("{name}, ")
}

/// A text in quotes, on one line.
fn quoted(bytes: &[u8], length: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let cut = bytes.len() < length || text.chars().nth(VALUE).is_some();
    let mut head: String = text.chars().take(VALUE).collect();
    if cut {
        head.push('…');
    }
    format!("'{}'", redacted(&head).replace('\n', "\\n").replace('\r', "\\r"))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of a Bind with these values, all in one format.
    fn bind(format: u16, values: &[Option<&[u8]>]) -> Vec<u8> {
        let mut body = [1u16.to_be_bytes(), format.to_be_bytes()].concat();
        body.extend((values.len() as u16).to_be_bytes());
        for value in values {
            body.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        body
    }

    #[test]
    fn values_of_known_types() {
        let micros = 845_164_800_000_000i64 + 3_723_000_000 + 250_000;
        for (bytes, kind, expected) in [
            (&b"ada"[..], TEXT, "'ada'"),
            (&7i32.to_be_bytes(), INT4, "7"),
            (&(-7i64).to_be_bytes(), INT8, "-7"),
            (&[1], BOOL, "true"),
            (&1.5f64.to_be_bytes(), FLOAT8, "1.5"),
            (b"\x01{\"a\":1}", JSONB, "'{\"a\":1}'"),
            (
                &0x1234_5678_9abc_def0_1234_5678_9abc_def0u128.to_be_bytes(),
                UUID,
                "'12345678-9abc-def0-1234-56789abcdef0'",
            ),
            (&0i32.to_be_bytes(), DATE, "'2000-01-01'"),
            (&8826i32.to_be_bytes(), DATE, "'2024-03-01'"),
            (&micros.to_be_bytes(), TIMESTAMPTZ, "'2026-10-13 01:02:03.25Z'"),
            (&(-1i64).to_be_bytes(), TIMESTAMP, "'1999-12-31 23:59:59.999999'"),
            (&i64::MAX.to_be_bytes(), TIMESTAMP, "<timestamp, 8 bytes>"),
            (b"\x00\x01", 17, "<bytea, 2 bytes>"),
            (b"abcd", 4711, "<type 4711, 4 bytes>"),
            (b"abcd", 0, "<4 bytes>"),
        ] {
            assert_eq!(shown(&bind(1, &[Some(bytes)]), &[kind]), format!("$1 = {expected}"));
        }
    }

    #[test]
    fn several_values_and_texts_of_numbers() {
        let body = bind(0, &[Some(b"12"), None, Some(b"a\nb"), Some(b"postgres://a:hunter2@h")]);
        assert_eq!(shown(&body, &[INT4, TEXT, TEXT]), r"$1 = 12, $2 = null, $3 = 'a\nb', $4 = 'postgres://***@h'");
        assert_eq!(shown(&bind(0, &[]), &[]), "");
        assert_eq!(shown(b"", &[]), "");
    }

    #[test]
    fn what_was_cut_ends_so() {
        let long = "x".repeat(100);
        let body = bind(0, &[Some(long.as_bytes()), Some(b"ada")]);
        assert_eq!(shown(&body, &[]), format!("$1 = '{}…', $2 = 'ada'", "x".repeat(60)));
        let cut = shown(&body[..30], &[]);
        assert!(cut.starts_with("$1 = 'xxx") && cut.ends_with("x…', $2 = …"), "{cut}");
    }
}

//! Frames of the wire protocol (PostgreSQL manual, chapter 55): cut from a byte stream, and written.
//!
//! A frame is a tag, a length and a body. Rows and copy data are handed on in whatever portions they arrive, so that
//! memory does not grow with a result; every other frame is handed on whole.

use std::io;

use bytes::{Buf, BufMut, BytesMut};

pub(super) use crate::pg::wire::{put, put_cstr};

/// The largest frame that a server sends (`MaxAllocSize`).
const MAX_FRAME: usize = 1 << 30;

/// The largest frame that it takes (`PQ_LARGE_MESSAGE_LIMIT`).
const MAX_TAKEN: usize = MAX_FRAME - 2;

/// The largest frame that still fits when private names have made it longer.
const MAX_NAMED: usize = MAX_FRAME - 1024;

/// The largest frame without data of the user's that it takes.
const MAX_SMALL: usize = 10_000;

/// So much room is made for a frame that has only been announced.
const AHEAD: usize = 1 << 20;

/// The type `text` in `pg_type`.
const TEXT: u32 = 25;

/// A `Bind` beyond this size is handed on in portions; its names stand within it.
const LARGE_BIND: usize = 64 * 1024;

/// What stands next in a stream.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A whole frame, header included.
    Frame(Frame),
    /// The first portion of a frame too large to wait for; `Data` follows.
    Head(Frame),
    /// Bytes to pass on as they are: `rows` frames begin in them.
    Data { bytes: BytesMut, rows: usize },
}

/// A frame, or the head of one.
#[derive(Debug)]
pub(crate) struct Frame {
    bytes: BytesMut,
}

impl Frame {
    pub(crate) fn tag(&self) -> u8 {
        self.bytes[0]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[5..]
    }

    /// The frame with its header.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of the whole frame, of which a head holds a part.
    pub(super) fn total(&self) -> usize {
        length(&self.bytes) + 1
    }
}

/// The receiving end of a stream.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) buffer: BytesMut,
    /// Tags whose frames are handed on in portions.
    streamed: &'static [u8],
    /// How long a frame with a tag may be; `None`: there is no such tag.
    limit: fn(u8) -> Option<usize>,
    /// Bytes that the frame begun last still lacks.
    missing: usize,
}

impl Input {
    /// The receiving end of a client: copy data streams.
    pub(crate) fn of_client() -> Self {
        Input { buffer: BytesMut::with_capacity(8 * 1024), streamed: b"d", limit: limit_of_client, missing: 0 }
    }

    /// The receiving end of a server: rows and copy data stream.
    pub(crate) fn of_server() -> Self {
        Input { buffer: BytesMut::with_capacity(16 * 1024), streamed: b"Dd", limit: limit_of_server, missing: 0 }
    }

    /// Whether nothing has arrived, and nothing is lacking.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.missing == 0
    }

    /// The bytes that complete the frame begun last.
    pub(super) fn missing(&self) -> usize {
        self.missing
    }

    /// Cuts the next piece off what has arrived.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        let run = self.take_streamed()?;
        if run.is_some() {
            return Ok(run);
        }
        let Some((tag, total)) = limited(&self.buffer, self.limit)? else { return Ok(None) };
        if tag == b'B' && total > LARGE_BIND && self.buffer.len() >= LARGE_BIND.min(total) && self.buffer.len() < total
        {
            self.missing = total - self.buffer.len();
            return Ok(Some(Piece::Head(Frame { bytes: self.buffer.split() })));
        }
        if self.buffer.len() < total {
            self.buffer.reserve((total - self.buffer.len()).min(AHEAD));
            return Ok(None);
        }
        Ok(Some(Piece::Frame(Frame { bytes: self.buffer.split_to(total) })))
    }

    /// As many bytes of streamed frames as stand at the front.
    fn take_streamed(&mut self) -> io::Result<Option<Piece>> {
        let mut end = self.missing.min(self.buffer.len());
        self.missing -= end;
        let mut rows = 0;
        while self.missing == 0
            && let Some((tag, total)) = limited(&self.buffer[end..], self.limit)?
            && self.streamed.contains(&tag)
        {
            let there = total.min(self.buffer.len() - end);
            self.missing = total - there;
            end += there;
            rows += 1;
        }
        Ok((end > 0).then(|| Piece::Data { bytes: self.buffer.split_to(end), rows }))
    }
}

/// The tag and total length of the frame of a server at the front of `bytes`.
pub(super) fn header(bytes: &[u8]) -> io::Result<Option<(u8, usize)>> {
    limited(bytes, limit_of_server)
}

/// The same; what no frame can be is refused as soon as it shows, not when so much has come.
fn limited(bytes: &[u8], limit: fn(u8) -> Option<usize>) -> io::Result<Option<(u8, usize)>> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let Some(&tag) = bytes.first() else { return Ok(None) };
    let most = limit(tag).ok_or_else(|| invalid(format!("invalid frontend message type {tag}")))?;
    if bytes.len() < 5 {
        return Ok(None);
    }
    let length = length(bytes);
    if !(4..=most).contains(&length) {
        return Err(invalid(format!("frame `{}` claims a length of {length}", tag.escape_ascii())));
    }
    Ok(Some((tag, length + 1)))
}

fn limit_of_client(tag: u8) -> Option<usize> {
    match tag {
        b'B' | b'P' | b'Q' => Some(MAX_NAMED),
        b'F' | b'd' => Some(MAX_TAKEN),
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => Some(MAX_SMALL),
        _ => None,
    }
}

fn limit_of_server(_: u8) -> Option<usize> {
    Some(MAX_FRAME)
}

fn length(bytes: &[u8]) -> usize {
    u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize
}

/// Writes a simple query.
pub(crate) fn put_query(out: &mut BytesMut, sql: &[u8]) {
    put(out, b'Q', |b| put_cstr(b, sql));
}

/// Writes `CommandComplete`.
pub(super) fn put_tag(out: &mut BytesMut, tag: &str) {
    put(out, b'C', |b| put_cstr(b, tag.as_bytes()));
}

/// Writes the description of one text column, as `SHOW` has it.
pub(super) fn put_text_column(out: &mut BytesMut, name: &str) {
    put(out, b'T', |b| {
        b.put_u16(1);
        put_cstr(b, name.as_bytes());
        b.put_u32(0);
        b.put_u16(0);
        b.put_u32(TEXT);
        b.put_i16(-1);
        b.put_i32(-1);
        b.put_u16(0);
    });
}

/// Writes a row of one text.
pub(super) fn put_text_row(out: &mut BytesMut, value: &str) {
    put(out, b'D', |b| {
        b.put_u16(1);
        b.put_u32(u32::try_from(value.len()).unwrap_or(0));
        b.put_slice(value.as_bytes());
    });
}

/// Writes `ParameterStatus`.
pub(super) fn put_parameter(out: &mut BytesMut, name: &str, value: &str) {
    put(out, b'S', |b| {
        put_cstr(b, name.as_bytes());
        put_cstr(b, value.as_bytes());
    });
}

/// Writes `ReadyForQuery`.
pub(super) fn put_ready(out: &mut BytesMut, status: u8) {
    put(out, b'Z', |b| b.put_u8(status));
}

/// An error or a notice that the sandbox itself sends (PostgreSQL manual, section 55.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(super) severity: &'static str,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
}

impl Report {
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Report { severity: "ERROR", code, message: message.into(), detail: None, hint: None }
    }

    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Report { severity: "WARNING", ..Report::error(code, message) }
    }

    pub(super) fn notice(code: &'static str, message: impl Into<String>) -> Self {
        Report { severity: "NOTICE", ..Report::error(code, message) }
    }

    pub(crate) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Report { severity: "FATAL", ..Report::error(code, message) }
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        let tag = if matches!(self.severity, "WARNING" | "NOTICE") { b'N' } else { b'E' };
        put(out, tag, |b| {
            let mut field = |kind: u8, text: &str| {
                b.put_u8(kind);
                put_cstr(b, text.as_bytes());
            };
            field(b'S', self.severity);
            field(b'V', self.severity);
            field(b'C', self.code);
            field(b'M', &self.message);
            if let Some(detail) = &self.detail {
                field(b'D', detail);
            }
            if let Some(hint) = &self.hint {
                field(b'H', hint);
            }
            b.put_u8(0);
        });
    }
}

/// The fields of an `ErrorResponse` or `NoticeResponse`, in order.
pub(super) fn report_fields(body: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let kind = take_u8(&mut rest).filter(|kind| *kind != 0)?;
        Some((kind, take_cstr(&mut rest)?))
    })
}

/// Takes a byte off the front of a body.
pub(super) fn take_u8(body: &mut &[u8]) -> Option<u8> {
    let (first, rest) = body.split_first()?;
    *body = rest;
    Some(*first)
}

/// Takes a string off the front of a body, without its end.
pub(crate) fn take_cstr<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = body.iter().position(|b| *b == 0)?;
    let text = &body[..end];
    body.advance(end + 1);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(input: &mut Input, bytes: &[u8]) -> Vec<String> {
        input.buffer.extend_from_slice(bytes);
        std::iter::from_fn(|| input.next().unwrap())
            .map(|piece| match piece {
                Piece::Frame(f) => format!("frame {} {}", f.tag() as char, f.bytes().len()),
                Piece::Head(f) => format!("head {} {} of {}", f.tag() as char, f.bytes().len(), f.total()),
                Piece::Data { bytes, rows } => format!("data {} rows {rows}", bytes.len()),
            })
            .collect()
    }

    #[test]
    fn a_frame_waits_until_it_is_whole() {
        let mut out = BytesMut::new();
        put_query(&mut out, b"select 1");
        let mut input = Input::of_client();
        for byte in &out[..out.len() - 1] {
            assert!(pieces(&mut input, &[*byte]).is_empty());
        }
        assert_eq!(pieces(&mut input, &out[out.len() - 1..]), ["frame Q 14"]);
    }

    #[test]
    fn rows_are_handed_on_in_the_portions_that_arrive() {
        let mut out = BytesMut::new();
        for _ in 0..3 {
            put(&mut out, b'D', |b| b.put_slice(&[7; 10]));
        }
        put_tag(&mut out, "SELECT 3");
        let mut input = Input::of_server();
        assert_eq!(pieces(&mut input, &out[..20]), ["data 20 rows 2"]);
        assert_eq!(input.missing(), 10);
        assert_eq!(pieces(&mut input, &out[20..24]), ["data 4 rows 0"]);
        assert_eq!(pieces(&mut input, &out[24..]), ["data 21 rows 1", "frame C 14"]);
    }

    #[test]
    fn a_large_bind_does_not_wait_for_its_values() {
        let mut out = BytesMut::new();
        put(&mut out, b'B', |b| b.put_slice(&vec![1; 3 * LARGE_BIND]));
        let mut input = Input::of_client();
        assert!(pieces(&mut input, &out[..LARGE_BIND - 1]).is_empty());
        let rest = pieces(&mut input, &out[LARGE_BIND - 1..2 * LARGE_BIND]);
        assert_eq!(rest, [format!("head B {} of {}", 2 * LARGE_BIND, out.len())]);
        assert_eq!(pieces(&mut input, &out[2 * LARGE_BIND..]), [format!("data {} rows 0", LARGE_BIND + 5)]);
    }

    #[test]
    fn a_length_that_cannot_be_is_an_error() {
        for (tag, length) in
            [(b'Q', 0), (b'Q', 3), (b'Q', 1 << 31), (b'd', (1 << 30) - 1), (b'S', 10_001), (b'E', 1 << 20)]
        {
            let mut input = Input::of_client();
            input.buffer.put_u8(tag);
            input.buffer.put_u32(length);
            assert!(input.next().is_err(), "{length}");
        }
    }

    #[test]
    fn copy_data_may_be_as_long_as_a_server_takes_it() {
        let mut input = Input::of_client();
        assert_eq!(pieces(&mut input, b"d\x3f\xff\xff\xfe"), ["data 5 rows 1"]);
    }

    #[test]
    fn a_type_that_cannot_be_is_an_error_at_once() {
        let mut input = Input::of_client();
        input.buffer.put_u8(b'G');
        assert_eq!(input.next().unwrap_err().to_string(), "invalid frontend message type 71");
    }

    #[test]
    fn room_is_made_for_what_comes() {
        let mut input = Input::of_client();
        assert!(pieces(&mut input, &[b'Q', 0x3f, 0, 0, 0]).is_empty());
        assert!(input.buffer.capacity() < 4 * AHEAD, "{}", input.buffer.capacity());
    }

    #[test]
    fn a_report_has_the_fields_of_the_manual() {
        let mut out = BytesMut::new();
        Report::error("25P01", "no").put(&mut out);
        let fields: Vec<_> = report_fields(&out[5..]).map(|(k, v)| (k as char, String::from_utf8_lossy(v))).collect();
        assert_eq!(fields, [('S', "ERROR".into()), ('V', "ERROR".into()), ('C', "25P01".into()), ('M', "no".into())]);
    }
}

//! Messages of the wire protocol (PostgreSQL manual, section 55.7), as a plain client writes and reads them.
//!
//! Invariant: no message leaves here with a length that is not its own.

pub(crate) mod backend;
pub(crate) mod frontend;
#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};

/// Writes one message; its length is filled in.
pub(crate) fn put(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    put_untagged(out, body);
}

/// The same without a tag, as the messages that begin a connection are.
fn put_untagged(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Writes a string and its end.
pub(crate) fn put_cstr(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(text);
    out.put_u8(0);
}

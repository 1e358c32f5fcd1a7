//! The messages of a client.

use bytes::{BufMut, BytesMut};

use super::{put, put_cstr, put_untagged};

/// `StartupMessage` of protocol 3.0.
pub(crate) fn startup<'p>(out: &mut BytesMut, parameters: impl Iterator<Item = (&'p str, &'p str)>) {
    put_untagged(out, |b| {
        b.put_u32(0x0003_0000);
        for (name, value) in parameters {
            put_cstr(b, name.as_bytes());
            put_cstr(b, value.as_bytes());
        }
        b.put_u8(0);
    });
}

/// `SSLRequest`, which any server answers with one byte.
pub(crate) fn ssl_request(out: &mut BytesMut) {
    put_untagged(out, |b| b.put_u32(80_877_103));
}

/// `CancelRequest`.
pub(crate) fn cancel_request(out: &mut BytesMut, process: i32, secret: i32) {
    put_untagged(out, |b| {
        b.put_u32(80_877_102);
        b.put_i32(process);
        b.put_i32(secret);
    });
}

/// `PasswordMessage`.
pub(crate) fn password(out: &mut BytesMut, password: &str) {
    put(out, b'p', |b| put_cstr(b, password.as_bytes()));
}

/// `SASLInitialResponse`.
pub(crate) fn sasl_initial(out: &mut BytesMut, mechanism: &str, data: &str) {
    put(out, b'p', |b| {
        put_cstr(b, mechanism.as_bytes());
        b.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
        b.put_slice(data.as_bytes());
    });
}

/// `SASLResponse`.
pub(crate) fn sasl(out: &mut BytesMut, data: &str) {
    put(out, b'p', |b| b.put_slice(data.as_bytes()));
}

/// `Query`.
pub(crate) fn query(out: &mut BytesMut, sql: &str) {
    put(out, b'Q', |b| put_cstr(b, sql.as_bytes()));
}

/// `Parse`, `Bind` and `Execute` of a statement without parameters, by the unnamed statement and portal.
pub(crate) fn execute(out: &mut BytesMut, sql: &str) {
    put(out, b'P', |b| {
        put_cstr(b, b"");
        put_cstr(b, sql.as_bytes());
        b.put_u16(0);
    });
    put(out, b'B', |b| {
        put_cstr(b, b"");
        put_cstr(b, b"");
        // Neither formats of parameters, nor parameters, nor formats of results.
        b.put_slice(&[0; 6]);
    });
    put(out, b'E', |b| {
        put_cstr(b, b"");
        b.put_u32(0);
    });
}

/// `CopyData`.
pub(crate) fn copy_data(out: &mut BytesMut, data: &[u8]) {
    put(out, b'd', |b| b.put_slice(data));
}

/// `CopyDone`.
pub(crate) fn copy_done(out: &mut BytesMut) {
    put(out, b'c', |_| {});
}

/// `CopyFail`.
pub(crate) fn copy_fail(out: &mut BytesMut, why: &str) {
    put(out, b'f', |b| put_cstr(b, why.as_bytes()));
}

/// `Sync`.
pub(crate) fn sync(out: &mut BytesMut) {
    put(out, b'S', |_| {});
}

/// `Terminate`.
pub(crate) fn terminate(out: &mut BytesMut) {
    put(out, b'X', |_| {});
}

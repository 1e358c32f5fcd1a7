//! The messages of a server.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

/// A message whose content a plain client has a use for, or only its tag.
#[derive(Debug)]
pub(crate) enum Message {
    Authentication(Authentication),
    ParameterStatus { name: String, value: String },
    BackendKeyData { process: i32, secret: i32 },
    ReadyForQuery,
    CommandComplete,
    DataRow(Bytes),
    CopyData(Bytes),
    ErrorResponse(Bytes),
    CopyInResponse,
    Other(u8),
}

/// What the server wants of a client that connects (section 55.2.1).
#[derive(Debug)]
pub(crate) enum Authentication {
    Ok,
    CleartextPassword,
    Md5Password {
        salt: [u8; 4],
    },
    /// The names of the mechanisms that it takes.
    Sasl(Vec<String>),
    SaslContinue(Bytes),
    SaslFinal(Bytes),
    /// Its number.
    Other(u32),
}

/// What stands before the body of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) tag: u8,
    /// Of the whole message, tag and length included.
    pub(crate) total: usize,
}

impl Header {
    /// The header at the front of what has arrived; `None`: it is not complete.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<Header>> {
        let [tag, a, b, c, d, ..] = *bytes else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length < 4 {
            return Err(invalid("a message is shorter than its length"));
        }
        Ok(Some(Header { tag, total: length + 1 }))
    }
}

impl Message {
    /// Cuts the message off the front of what has arrived; `None`: it is not complete.
    pub(crate) fn parse(input: &mut BytesMut) -> io::Result<Option<Message>> {
        let Some(Header { tag, total }) = Header::parse(input)? else { return Ok(None) };
        if input.len() < total {
            input.reserve(total - input.len());
            return Ok(None);
        }
        let mut body = input.split_to(total).freeze();
        body.advance(5);
        Message::read(tag, body).ok_or_else(|| invalid("a message ends before its content does")).map(Some)
    }

    fn read(tag: u8, mut body: Bytes) -> Option<Message> {
        Some(match tag {
            b'R' => Message::Authentication(Authentication::read(body)?),
            b'S' => Message::ParameterStatus { name: text(&mut body)?, value: text(&mut body)? },
            b'K' => Message::BackendKeyData { process: body.try_get_i32().ok()?, secret: body.try_get_i32().ok()? },
            b'Z' => Message::ReadyForQuery,
            b'C' => Message::CommandComplete,
            b'D' => Message::DataRow(body),
            b'd' => Message::CopyData(body),
            b'E' => Message::ErrorResponse(body),
            b'G' => Message::CopyInResponse,
            tag => Message::Other(tag),
        })
    }
}

impl Authentication {
    fn read(mut body: Bytes) -> Option<Authentication> {
        Some(match body.try_get_u32().ok()? {
            0 => Authentication::Ok,
            3 => Authentication::CleartextPassword,
            5 => Authentication::Md5Password { salt: body.as_ref().try_into().ok()? },
            10 => {
                let names = std::iter::from_fn(|| text(&mut body).filter(|name| !name.is_empty()));
                Authentication::Sasl(names.collect())
            }
            11 => Authentication::SaslContinue(body),
            12 => Authentication::SaslFinal(body),
            number => Authentication::Other(number),
        })
    }
}

/// The values of a `DataRow`, as text.
pub(crate) fn values(mut row: Bytes) -> io::Result<Vec<Option<String>>> {
    let mut read = || {
        let count = row.try_get_u16().ok()?;
        (0..count)
            .map(|_| {
                // A length of -1 is a null.
                let Ok(length) = usize::try_from(row.try_get_i32().ok()?) else { return Some(None) };
                let value = (length <= row.len()).then(|| row.split_to(length))?;
                Some(Some(String::from_utf8_lossy(&value).into_owned()))
            })
            .collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| invalid("a row ends before its values do"))
}

/// The fields of an `ErrorResponse` or `NoticeResponse`, in order (section 55.8).
pub(crate) fn fields(mut body: Bytes) -> impl Iterator<Item = (u8, String)> {
    std::iter::from_fn(move || {
        let kind = body.try_get_u8().ok().filter(|kind| *kind != 0)?;
        Some((kind, text(&mut body)?))
    })
}

/// Takes a string off the front of a body, without its end.
fn text(body: &mut Bytes) -> Option<String> {
    let end = body.iter().position(|byte| *byte == 0)?;
    let text = body.split_to(end);
    body.advance(1);
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

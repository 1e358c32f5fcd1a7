//! The messages of the helper's socket: fields of bytes, and open descriptors beside them (`SCM_RIGHTS`).
//!
//! A message is the protocol's number, its length and its fields. Descriptors travel with its first byte, and the kernel
//! closes those that nobody receives, so a descriptor is never left open by a process that has died.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// Changes with every change of what is said here, and of the state in which a backend is handed over.
pub(super) const PROTOCOL: u32 = 1;

/// The most descriptors of one message.
pub(super) const MOST_DESCRIPTORS: usize = 16;

/// A longer message is none of ours.
const LONGEST: usize = 16 << 20;

/// Protocol and length.
const HEADER: usize = 8;

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From a test: lend something under this key.
    Ask = 1,
    /// The answer where there is something: its description, and its descriptors.
    Lend = 2,
    /// The answer where there is nothing.
    Nothing = 3,
    /// From a test: keep this. The key, how long at most, the description; its descriptors.
    Give = 4,
    /// From a test: close what you keep on this server, others need the connections. Answered by `Nothing`.
    Release = 5,
}

/// A message that has arrived.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) fields: Vec<Vec<u8>>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Sends one message. Where the socket has a time limit, a receiver that does not read is an error.
pub(super) fn send(stream: impl AsFd, kind: Kind, fields: &[&[u8]], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = 1 + fields.iter().map(|field| 4 + field.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(HEADER + body);
    bytes.extend_from_slice(&PROTOCOL.to_le_bytes());
    bytes.extend_from_slice(&(body as u32).to_le_bytes());
    bytes.push(kind as u8);
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
        bytes.extend_from_slice(field);
    }

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    let mut sent = 0;
    while sent < bytes.len() {
        // The standard library has SIGPIPE ignored.
        sent += rustix::net::sendmsg(&stream, &[IoSlice::new(&bytes[sent..])], &mut beside, SendFlags::empty())?;
        beside.clear();
    }
    Ok(())
}

/// What has arrived on a socket, and is no message yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Inbox {
    /// Receives until there is a message; an error at the end of the stream, and when the time limit has passed.
    pub(super) fn message(&mut self, stream: impl AsFd) -> io::Result<Message> {
        loop {
            if let Some(message) = self.parse()? {
                return Ok(message);
            }
            if self.receive(&stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Receives once; gives the number of bytes, 0 at the end of the stream.
    pub(super) fn receive(&mut self, stream: impl AsFd) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 16 * 1024];
        let received = rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut beside, FLAGS)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        #[cfg(not(target_os = "linux"))]
        for descriptor in &self.descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        self.bytes.extend_from_slice(&bytes[..received.bytes]);
        Ok(received.bytes)
    }

    /// The message that has arrived, once it is whole.
    pub(super) fn parse(&mut self) -> io::Result<Option<Message>> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not a message of this protocol");
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let mut header = Fields(header);
        if header.number() != Some(PROTOCOL) {
            return Err(invalid());
        }
        let length = header.number().unwrap_or_default() as usize;
        if length > LONGEST {
            return Err(invalid());
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let (kind, mut rest) = body.split_first().ok_or_else(invalid)?;
        let kind =
            [Kind::Ask, Kind::Lend, Kind::Nothing, Kind::Give, Kind::Release].into_iter().find(|k| *k as u8 == *kind);
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let mut reader = Fields(rest);
            fields.push(reader.bytes().ok_or_else(invalid)?.to_vec());
            rest = reader.0;
        }
        let message =
            Message { kind: kind.ok_or_else(invalid)?, fields, descriptors: std::mem::take(&mut self.descriptors) };
        self.bytes.drain(..HEADER + length);
        Ok(Some(message))
    }
}

#[cfg(target_os = "linux")]
const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const FLAGS: RecvFlags = RecvFlags::empty();

/// Reads the fields of a description, in the order in which [`put`] has written them.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(description: &'a [u8]) -> Self {
        Fields(description)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next field; `None`: there is none, or it is no text.
    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// The next field, which may be null; the outer `None` is as for [`text`](Self::text).
    pub(crate) fn nullable(&mut self) -> Option<Option<String>> {
        match self.text()?.as_str() {
            "" => Some(None),
            text => Some(Some(text.strip_prefix('=')?.to_owned())),
        }
    }
}

/// Writes a field of a description.
pub(crate) fn put(description: &mut Vec<u8>, text: &str) {
    description.extend_from_slice(&(text.len() as u32).to_le_bytes());
    description.extend_from_slice(text.as_bytes());
}

/// Writes a field that may be null.
pub(crate) fn put_nullable(description: &mut Vec<u8>, text: Option<&str>) {
    put(description, &text.map(|text| format!("={text}")).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_arrives_with_its_description_and_is_not_inherited() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut ours, lent) = UnixStream::pair().unwrap();
        // Longer than one read.
        let long = vec![b'x'; 100_000];
        std::thread::scope(|scope| {
            scope.spawn(|| send(&here, Kind::Give, &[b"key", b"", &long], &[lent.as_fd()]).unwrap());
            let mut message = Inbox::default().message(&there).unwrap();
            assert_eq!((message.kind, &message.fields[..2]), (Kind::Give, &[b"key".to_vec(), Vec::new()][..]));
            assert_eq!((message.fields[2].len(), message.descriptors.len()), (100_000, 1));
            let descriptor = message.descriptors.pop().unwrap();
            let flags = rustix::io::fcntl_getfd(&descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            UnixStream::from(descriptor).write_all(b"hello").unwrap();
        });
        drop(lent);
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
    }

    #[test]
    fn descriptors_that_nobody_receives_are_closed() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut ours, lent) = UnixStream::pair().unwrap();
        send(&here, Kind::Lend, &[], &[lent.as_fd()]).unwrap();
        drop((lent, there));
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn another_protocol_is_refused() {
        for bytes in [&[9, 0, 0, 0, 1, 0, 0, 0, 1][..], &[1, 0, 0, 0, 1, 0, 0, 0, 9], &[1, 0, 0, 0, 2, 0, 0, 0, 1, 7]] {
            let (mut here, there) = UnixStream::pair().unwrap();
            here.write_all(bytes).unwrap();
            let error = Inbox::default().message(&there).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[test]
    fn fields_come_back_as_they_were() {
        let mut description = Vec::new();
        put(&mut description, "");
        put_nullable(&mut description, None);
        put_nullable(&mut description, Some(""));
        put_nullable(&mut description, Some("=x"));
        let mut fields = Fields::of(&description);
        assert_eq!(fields.text().as_deref(), Some(""));
        assert_eq!([fields.nullable(), fields.nullable()], [Some(None), Some(Some(String::new()))]);
        assert_eq!(fields.nullable(), Some(Some("=x".to_owned())));
        assert_eq!(fields.text(), None);
    }
}

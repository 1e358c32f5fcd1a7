//! The start-up: what a client says before its first query (PostgreSQL manual, section 55.2.1).

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::pg::sandbox::frame;
use crate::pg::wire;

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const PROTOCOL_3_0: u32 = 3 << 16;
/// No sane start-up packet is longer; the server's own limit.
const MAX_STARTUP: usize = 10_000;

/// What a new client wants.
#[derive(Debug)]
pub(super) enum Request {
    /// A session; the packet with its length.
    Session(BytesMut),
    /// Something cancelled; the packet with its length.
    Cancel(BytesMut),
    /// Nothing that can be answered.
    Nothing,
}

/// What a session is begun with: the parameters of its start-up message, but for the database, which is another in each slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Startup {
    pub(super) parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads a client's requests up to its start-up message. Encryption is refused, as on any Unix socket.
pub(super) async fn receive(stream: &mut UnixStream, buffer: &mut BytesMut) -> io::Result<Request> {
    loop {
        let Some(packet) = packet(stream, buffer).await? else { return Ok(Request::Nothing) };
        match u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]) {
            SSL | GSS if packet.len() == 8 => stream.write_all(b"N").await?,
            CANCEL => return Ok(Request::Cancel(packet)),
            _ => return Ok(Request::Session(packet)),
        }
    }
}

/// The next packet; such packets have no tag.
async fn packet(stream: &mut UnixStream, buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    loop {
        if let Some(length) = buffer.first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            if !(8..=MAX_STARTUP).contains(&length) {
                return Ok(None);
            }
            if buffer.len() >= length {
                return Ok(Some(buffer.split_to(length)));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

impl Startup {
    /// Reads the packet of a client that asks for a plain session of this user in this database; `None`: of any other.
    pub(super) fn read(packet: &[u8], user: &str, database: &str) -> Option<Startup> {
        let mut body = &packet[4..];
        if body.get_u32() != PROTOCOL_3_0 {
            return None;
        }
        let mut parameters = Vec::new();
        let (mut is_user, mut is_database) = (false, user == database);
        loop {
            let name = frame::take_cstr(&mut body)?;
            if name.is_empty() {
                break;
            }
            let value = frame::take_cstr(&mut body)?;
            match name {
                b"user" => is_user = value == user.as_bytes(),
                b"database" => {
                    is_database = value == database.as_bytes();
                    continue;
                }
                b"replication" => return None,
                _ if name.starts_with(b"_pq_.") => return None,
                _ => {}
            }
            parameters.push((name.to_vec(), value.to_vec()));
        }
        (is_user && is_database && body.is_empty()).then_some(Startup { parameters })
    }

    /// The same with a setting that the client has not asked for.
    pub(super) fn with(mut self, name: &str, value: &str) -> Startup {
        if !self.parameters.iter().any(|(its, _)| its.eq_ignore_ascii_case(name.as_bytes())) {
            self.parameters.push((name.into(), value.into()));
        }
        self
    }

    /// The packet that begins such a session in a database.
    pub(super) fn packet(&self, database: &str) -> BytesMut {
        let mut packet = BytesMut::new();
        packet.put_u32(0);
        packet.put_u32(PROTOCOL_3_0);
        let database = (&b"database"[..], database.as_bytes());
        let parameters = self.parameters.iter().map(|(name, value)| (&name[..], &value[..]));
        for (name, value) in parameters.chain([database]) {
            wire::put_cstr(&mut packet, name);
            wire::put_cstr(&mut packet, value);
        }
        packet.put_u8(0);
        let length = u32::try_from(packet.len()).unwrap_or_default();
        packet[..4].copy_from_slice(&length.to_be_bytes());
        packet
    }

    /// Whether the texts in it ask for something that makes the counters worthless.
    pub(super) fn text(&self) -> Vec<u8> {
        self.parameters.iter().flat_map(|(name, value)| [&name[..], b" ", value, b" "].concat()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parameters: &[(&str, &str)]) -> Startup {
        Startup { parameters: parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() }
    }

    #[test]
    fn a_plain_start_up_is_read_and_made_again() {
        let startup = of(&[("user", "ada"), ("application_name", "app")]);
        let packet = startup.packet("db");
        assert_eq!(Startup::read(&packet, "ada", "db"), Some(startup));
        assert_eq!(Startup::read(&packet, "eve", "db"), None);
        assert_eq!(Startup::read(&packet, "ada", "other"), None);
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_server() {
        for odd in [("replication", "database"), ("_pq_.x", "1")] {
            assert_eq!(Startup::read(&of(&[("user", "ada"), odd]).packet("db"), "ada", "db"), None, "{odd:?}");
        }
        let mut newer = of(&[("user", "ada")]).packet("db");
        newer[7] = 2;
        assert_eq!(Startup::read(&newer, "ada", "db"), None);
    }

    #[test]
    fn a_setting_that_is_asked_for_stays() {
        let level = "default_transaction_isolation";
        let asked = of(&[(level, "serializable")]);
        assert_eq!(asked.clone().with(level, "repeatable read"), asked);
        assert_eq!(of(&[]).with(level, "serializable"), asked);
    }
}

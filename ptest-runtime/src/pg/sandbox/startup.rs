//! The start-up of a session: what a server and a client say to each other before the first query (PostgreSQL manual,
//! section 55.2.1), answered by the sandbox alone.

use bytes::{Buf, BufMut, BytesMut};

use super::conversation::Client;
use super::frame::{self, Report};

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const PROTOCOL_3: u32 = 3;
/// No sane start-up packet is longer; the server's own limit.
const MAX_STARTUP: usize = 10_000;

/// What a new client wants.
#[derive(Debug)]
pub(super) enum Request {
    Session {
        parameters: Vec<(String, String)>,
    },
    /// Cancel what runs for the session with this number and secret.
    Cancel {
        session: i32,
        secret: i32,
    },
    /// Nothing that can be answered.
    Nothing,
}

/// Reads a client's requests up to its start-up message. Encryption is refused politely: the client then goes on in the
/// clear, over a socket that only this user can reach.
pub(super) async fn receive(client: &mut Client) -> Request {
    loop {
        let Some(mut packet) = packet(client).await else { return Request::Nothing };
        match packet.get_u32() {
            SSL | GSS => {
                client.out.put_u8(b'N');
                client.flush().await;
            }
            CANCEL if packet.len() == 8 => {
                return Request::Cancel { session: packet.get_i32(), secret: packet.get_i32() };
            }
            version if version >> 16 == PROTOCOL_3 => {
                let Some(parameters) = parameters(&packet) else {
                    let what = "invalid startup packet layout: expected terminator as last byte";
                    Report::fatal("08P01", what).put(&mut client.out);
                    return Request::Nothing;
                };
                if version & 0xffff != 0 {
                    put_negotiation(&parameters, &mut client.out);
                }
                return Request::Session { parameters };
            }
            version => {
                let (major, minor) = (version >> 16, version & 0xffff);
                let what = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
                Report::fatal("0A000", what).put(&mut client.out);
                return Request::Nothing;
            }
        }
    }
}

/// The next packet without its length; start-up packets have no tag.
async fn packet(client: &mut Client) -> Option<BytesMut> {
    loop {
        let buffer = &mut client.input.buffer;
        if buffer.len() >= 4 {
            let length = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
            if !(8..=MAX_STARTUP).contains(&length) {
                return None;
            }
            if buffer.len() >= length {
                let mut packet = buffer.split_to(length);
                packet.advance(4);
                return Some(packet);
            }
        }
        if !client.read().await {
            return None;
        }
    }
}

fn parameters(mut body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    loop {
        let name = frame::take_cstr(&mut body)?;
        if name.is_empty() {
            return Some(parameters);
        }
        let value = frame::take_cstr(&mut body)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parameters.push((text(name), text(value)));
    }
}

/// `NegotiateProtocolVersion`: the sandbox speaks 3.0 and knows no protocol options.
fn put_negotiation(parameters: &[(String, String)], out: &mut BytesMut) {
    let unknown: Vec<_> = parameters.iter().filter(|(name, _)| name.starts_with("_pq_.")).collect();
    frame::put(out, b'v', |b| {
        b.put_u32(PROTOCOL_3 << 16);
        b.put_u32(u32::try_from(unknown.len()).unwrap_or(0));
        for (name, _) in unknown {
            frame::put_cstr(b, name.as_bytes());
        }
    });
}

/// Accepts a client: no password is asked for, the socket is private. What it asks for is looked at next.
pub(super) fn put_accepted(out: &mut BytesMut) {
    frame::put(out, b'R', |b| b.put_u32(0));
}

/// Begins a session.
pub(super) fn put_welcome(reported: &[(String, String)], session: i32, secret: i32, out: &mut BytesMut) {
    for (name, value) in reported {
        frame::put_parameter(out, name, value);
    }
    frame::put(out, b'K', |b| {
        b.put_i32(session);
        b.put_i32(secret);
    });
    frame::put_ready(out, b'I');
}

/// The settings that a client asks for at start-up: its user, those in `options`, and its parameters; the order is the
/// server's.
pub(super) fn asked(parameters: &[(String, String)]) -> Vec<(String, String)> {
    let user = parameters.iter().rfind(|(name, _)| name == "user");
    let mut settings: Vec<_> =
        user.map(|(_, user)| ("session_authorization".to_owned(), user.clone())).into_iter().collect();
    for (name, value) in parameters {
        if name == "options" {
            settings.extend(options(value));
        }
    }
    for (name, value) in parameters {
        let own = ["user", "database", "options", "replication"].contains(&name.as_str()) || name.starts_with("_pq_.");
        if !own {
            settings.push((name.to_ascii_lowercase(), value.clone()));
        }
    }
    settings
}

/// `-c name=value`, `-cname=value` and `--name=value`; a backslash takes the next character as it is.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => None,
        };
        if let Some((name, value)) = assignment.as_deref().and_then(|a| a.split_once('=')) {
            settings.push((name.replace('-', "_").to_ascii_lowercase(), value.to_owned()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_server_reads_them() {
        let pairs = |text| options(text).into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        assert_eq!(pairs("-c a=b  -cc.d=e\\ f --work-mem=1MB -B 3"), ["a=b", "c.d=e f", "work_mem=1MB"]);
        assert!(pairs("").is_empty());
    }
}

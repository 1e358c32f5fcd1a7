//! A session of the server's own, as plain values: a stream, and what is known of it.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Startup;
use crate::pg::sandbox::frame::{Input, Piece};
use crate::pg::server::{Address, BackendKey, Connection, Greeted, Refusal, Stream};
use crate::pg::wire::frontend;

/// A session that is as new.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) stream: Stream,
    pub(super) startup: Startup,
    /// All that the server said when it began, from the acceptance to the first `ReadyForQuery`.
    pub(super) greeting: BytesMut,
    pub(super) key: BackendKey,
}

/// What makes a session as new, but for what [`words`](super::words) knows. Each commits by itself; and the server has counted
/// all that the session ever did when it has answered the second.
const RESET: [&str; 2] = ["DISCARD ALL", "SELECT pg_catalog.pg_stat_force_next_flush()"];

impl Session {
    /// Begins a session.
    pub(crate) async fn open(server: &Address, database: &str, startup: &Startup) -> Result<Session, Refusal> {
        let Greeted { stream, greeting, key } = Connection::greeted(server, &startup.packet(database)).await?;
        Ok(Session { stream, startup: startup.clone(), greeting, key })
    }

    /// Whether it was begun so.
    pub(crate) fn begun_with(&self, startup: &Startup) -> bool {
        self.startup == *startup
    }

    /// Makes a session at rest as new.
    pub(super) async fn reset(&mut self) -> io::Result<()> {
        let mut out = BytesMut::new();
        for sql in RESET {
            frontend::query(&mut out, sql);
        }
        self.stream.write_all(&out).await?;
        let mut input = Input::of_server();
        let mut answered = 0;
        while answered < RESET.len() {
            while let Some(piece) = input.next()? {
                match piece {
                    Piece::Frame(frame) if frame.tag() == b'E' => return Err(io::ErrorKind::InvalidData.into()),
                    Piece::Frame(frame) if frame.tag() == b'Z' => answered += 1,
                    _ => {}
                }
            }
            if answered < RESET.len() && self.stream.read_buf(&mut input.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if input.buffer.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

//! The conversation: one client, the backend, and the bytes between them, from a first message to rest.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answers::Lost;
use super::backend::{Backend, HIGH_WATER, broken, poll_write};
use super::frame::{Frame, Input, Piece};
use super::session::Session;
use super::signals::{Signal, Signals};
use super::tap::Tap;
use super::turn::Turns;

/// A transport of a session.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

/// The client's end of a session.
pub(super) struct Client {
    pub(super) stream: Box<dyn Transport>,
    pub(super) input: Input,
    pub(super) out: BytesMut,
    pub(super) tap: Tap,
    /// It will send nothing more.
    pub(super) finished: bool,
    /// It reads nothing more.
    deaf: bool,
}

/// How a conversation came to a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// The session is at rest.
    Rest,
    /// The session does nothing in its transaction, and another would visit it.
    Visitor,
}

/// Why a conversation ended before its session was at rest.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone, or says that it is going.
    Disconnected,
    /// The client's stream makes no sense.
    Malformed(String),
    /// The server refused the settings that the client asked for.
    Refused(Frame),
    /// The test is over.
    Closed,
    Lost(Lost),
}

impl Client {
    pub(super) fn new(stream: Box<dyn Transport>) -> Self {
        Client {
            stream,
            input: Input::of_client(),
            out: BytesMut::with_capacity(8 * 1024),
            tap: Tap::default(),
            finished: false,
            deaf: false,
        }
    }

    /// The next of what has been read.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let piece = self.input.next()?;
        if let Some(Piece::Frame(frame) | Piece::Head(frame)) = &piece {
            self.tap.sent(frame);
        }
        Ok(piece)
    }

    /// Reads more; `false`: the client has finished.
    pub(super) async fn read(&mut self) -> bool {
        self.input.buffer.reserve(4096);
        let more = self.stream.read_buf(&mut self.input.buffer).await.is_ok_and(|n| n > 0);
        self.finished |= !more;
        more
    }

    /// Writes all that waits. A client that is gone is found out when it is read from.
    pub(super) async fn flush(&mut self) {
        self.tap.look(&self.out);
        while !self.out.is_empty() && !self.deaf {
            self.deaf = self.stream.write_buf(&mut self.out).await.is_err();
        }
        self.out.clear();
        self.tap.left(0);
    }

    /// Whether the client has gone, as far as can be known without waiting.
    pub(super) async fn is_gone(&mut self) -> bool {
        poll_fn(|cx| {
            while !self.finished && self.poll_read(cx) {}
            Poll::Ready(self.finished)
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>, room: bool) -> bool {
        self.tap.look(&self.out);
        let wrote = poll_write(&mut *self.stream, &mut self.out, cx).unwrap_or_else(|_| {
            self.deaf = true;
            true
        });
        // What nobody reads makes room at once: the backend is read only while there is some, and nothing else wakes us.
        if self.deaf {
            self.out.clear();
        }
        self.tap.left(self.out.len());
        wrote | (room && !self.finished && self.poll_read(cx))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        self.input.buffer.reserve(4096);
        match pin!(self.stream.read_buf(&mut self.input.buffer)).poll(cx) {
            Poll::Ready(result) => {
                self.finished |= !result.is_ok_and(|n| n > 0);
                true
            }
            Poll::Pending => false,
        }
    }
}

/// Passes messages in both directions until the session is at rest; it holds the turn meanwhile.
pub(super) async fn converse(
    session: &mut Session,
    client: &mut Client,
    backend: &mut Backend,
    turns: &Turns,
    signals: &Signals,
) -> Result<Pause, End> {
    loop {
        pass_on(session, client, backend)?;
        if session.at_rest() && !backend.link.owes_client() {
            client.flush().await;
            backend.flush().await.map_err(|e| End::Lost(broken(e)))?;
            return Ok(Pause::Rest);
        }
        let waits = !backend.link.owes_client() && backend.link.out.is_empty();
        // A server answers a batch at its Sync, which will not come, and copies until it is told to stop.
        let stuck = session.copying_in || (session.batch_open && !session.awaiting);
        if (waits || stuck) && (client.finished || session.ended) && backend.link.out.len() < HIGH_WATER {
            return Err(End::Disconnected);
        }
        turns.note_idle(waits, &session.last_sql);
        let hosts = waits && session.may_be_visited();
        let signal = poll_fn(|cx| {
            if hosts && turns.poll_visitor(cx) {
                return Poll::Ready(Ok(None));
            }
            if let Some(signal) = signals.poll(session.id, cx) {
                return Poll::Ready(Ok(Some(signal)));
            }
            let client_room = session.may_send() && backend.link.out.len() < HIGH_WATER;
            let server_room = client.out.len() < HIGH_WATER;
            let progress = client.poll(cx, client_room);
            match backend.poll(cx, server_room) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(End::Lost(broken(error)))),
                Poll::Ready(Ok(())) => Poll::Ready(Ok(None)),
                Poll::Pending if progress => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        if hosts && signal.is_none() && client.input.buffer.is_empty() && turns.has_visitor() {
            client.flush().await;
            return Ok(Pause::Visitor);
        }
        match signal {
            Some(Signal::Closed) => return Err(End::Closed),
            // Nothing more is sent meanwhile: the request cannot hit anything else.
            Some(Signal::Cancelled) if backend.link.owes_client() => {
                let _ = backend.cancel().await;
            }
            _ => {}
        }
    }
}

/// Passes on whatever has come, as far as the rules and the space allow.
fn pass_on(session: &mut Session, client: &mut Client, backend: &mut Backend) -> Result<(), End> {
    let Backend { input, link, .. } = backend;
    while let Some(piece) = take(input, client.out.len())? {
        session.server(&piece, link, &mut client.out).map_err(End::Lost)?;
    }
    // What a commit is to undo of the settings depends on what they are.
    while session.may_send() && !link.loaded.pending && !session.ended && link.out.len() < HIGH_WATER {
        let next = client.next().map_err(|e| End::Malformed(e.to_string()))?;
        let Some(piece) = next else { break };
        session.client(&piece, client.input.missing(), link).map_err(|e| End::Malformed(e.0))?;
        session.put_local(link, &mut client.out);
    }
    Ok(())
}

fn take(input: &mut Input, waiting: usize) -> Result<Option<Piece>, End> {
    if waiting >= HIGH_WATER {
        return Ok(None);
    }
    input.next().map_err(|e: io::Error| End::Lost(broken(e)))
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[tokio::test]
    async fn what_a_deaf_client_does_not_read_makes_room() {
        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let mut client = Client::new(Box::new(near));
        client.out.put_bytes(b'x', HIGH_WATER);
        let progress = poll_fn(|cx| Poll::Ready(client.poll(cx, false))).await;
        assert!(progress && client.out.len() < HIGH_WATER, "{progress}, {}", client.out.len());
    }
}

//! The conversation: one client, the backend, and the bytes between them, from a first message to rest.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::answers::Lost;
use super::backend::{Backend, HIGH_WATER, broken, poll_write};
use super::frame::{Frame, Input, Piece};
use super::session::Session;
use super::signals::{Signal, Signals};
use super::tap::Tap;
use super::turn::Turns;

/// A client that reads nothing for so long does not keep the turn from a session that waits for it.
const STALLED: Duration = Duration::from_millis(100);

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
    /// How much it has not read for that reason.
    unheard: usize,
    signals: Rc<Signals>,
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
    pub(super) fn new(stream: Box<dyn Transport>, signals: Rc<Signals>) -> Self {
        Client {
            stream,
            input: Input::of_client(),
            out: BytesMut::with_capacity(8 * 1024),
            tap: Tap::default(),
            finished: false,
            deaf: false,
            unheard: 0,
            signals,
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

    /// Writes all that waits, unless the test ends first. A client that is gone is found out when it is read from.
    pub(super) async fn flush(&mut self) {
        poll_fn(|cx| {
            while self.write(cx) {}
            if self.out.is_empty() {
                return Poll::Ready(());
            }
            self.signals.poll(0, cx).map_or(Poll::Pending, |_| {
                self.deaf = true;
                Poll::Ready(())
            })
        })
        .await;
    }

    /// Writes what the client takes at once.
    async fn flush_some(&mut self) {
        poll_fn(|cx| {
            while self.write(cx) {}
            Poll::Ready(())
        })
        .await;
    }

    /// Whether the client has gone, as far as can be known without waiting.
    pub(super) async fn is_gone(&mut self) -> bool {
        poll_fn(|cx| {
            while !self.finished && self.poll_read(cx) {}
            Poll::Ready(self.finished)
        })
        .await
    }

    /// Whether the client has gone and nothing that it said is left, as far as can be known without waiting.
    pub(super) async fn has_left(&mut self) -> bool {
        poll_fn(|cx| {
            while !self.finished && self.input.buffer.len() < HIGH_WATER && self.poll_read(cx) {}
            Poll::Ready(self.finished && matches!(self.input.buffer.first(), None | Some(b'X')))
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>, room: bool) -> bool {
        self.write(cx) | (room && !self.finished && self.poll_read(cx))
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        self.tap.look(&self.out);
        let wrote = poll_write(&mut *self.stream, &mut self.out, cx).unwrap_or_else(|_| {
            self.deaf = true;
            true
        });
        // What nobody reads makes room at once: the backend is read only while there is some, and nothing else wakes us.
        if self.deaf {
            self.unheard += self.out.len();
            self.out.clear();
        }
        self.tap.left(self.out.len());
        wrote
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
) -> Result<(), End> {
    // What the client does not read waits in memory, so that the turn can be passed on.
    let mut hoards = false;
    let mut given_up = false;
    loop {
        hoards &= client.out.len() >= HIGH_WATER;
        pass_on(session, client, backend, hoards)?;
        if session.at_rest() && !backend.link.owes_client() {
            client.flush_some().await;
            backend.flush().await.map_err(|e| End::Lost(broken(e)))?;
            return Ok(());
        }
        // A server answers a batch at its Sync, and copies until it is told to stop.
        let unfinished = session.copying_in || (session.batch_open && !session.awaiting);
        let asked = backend.link.owes_client() && (session.flushed || !unfinished);
        let waits = !asked && backend.link.out.is_empty();
        if (waits || unfinished) && (client.finished || session.ended) && backend.link.out.len() < HIGH_WATER {
            return Err(End::Disconnected);
        }
        turns.note_idle(waits, &session.last_sql);
        if client.unheard > HIGH_WATER && backend.link.owes_client() && !std::mem::replace(&mut given_up, true) {
            // A server would end a statement whose rows it cannot send.
            let _ = backend.cancel().await;
        }
        let stalls = full(client.out.len(), hoards);
        let next = poll_fn(|cx| {
            if let Some(signal) = signals.poll(session.id, cx) {
                return Poll::Ready(Ok(Some(signal)));
            }
            let client_room = session.may_send() && backend.link.out.len() < HIGH_WATER;
            let server_room = !full(client.out.len(), hoards);
            let progress = client.poll(cx, client_room);
            match backend.poll(cx, server_room) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(End::Lost(broken(error)))),
                Poll::Ready(Ok(())) => Poll::Ready(Ok(None)),
                Poll::Pending if progress => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            }
        });
        let signal = if stalls {
            let Ok(signal) = tokio::time::timeout(STALLED, next).await else {
                hoards = turns.is_awaited();
                continue;
            };
            signal?
        } else {
            next.await?
        };
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
fn pass_on(session: &mut Session, client: &mut Client, backend: &mut Backend, hoards: bool) -> Result<(), End> {
    let Backend { input, link, .. } = backend;
    while !full(client.out.len(), hoards)
        && let Some(piece) = input.next().map_err(|e| End::Lost(broken(e)))?
    {
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

/// Whether as much waits for the client as may.
fn full(waiting: usize, hoards: bool) -> bool {
    waiting >= HIGH_WATER && !hoards
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[tokio::test]
    async fn what_a_deaf_client_does_not_read_makes_room() {
        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let mut client = Client::new(Box::new(near), Rc::default());
        client.out.put_bytes(b'x', HIGH_WATER);
        let progress = poll_fn(|cx| Poll::Ready(client.poll(cx, false))).await;
        assert!(progress && client.out.len() < HIGH_WATER, "{progress}, {}", client.out.len());
    }
}

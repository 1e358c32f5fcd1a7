//! The pump: the bytes between a client and its session, in both directions, as they come.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::client::Live;
use super::words::Words;
use crate::pg::sandbox::frame::{Input, Piece};
use crate::pg::sandbox::tap::Tap;
use crate::pg::server::Stream;

/// Bytes that may wait in either direction before the other side is made to wait.
const HIGH_WATER: usize = 256 * 1024;

/// Room for one read: a server writes 8 KiB at a time, and more than one portion may have come.
const READ: usize = 64 * 1024;

/// The client's end.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: UnixStream,
    pub(super) input: Input,
    /// What it is to get.
    pub(super) out: BytesMut,
    pub(super) tap: Tap,
    /// It sends nothing more.
    finished: bool,
    /// It reads nothing more.
    deaf: bool,
}

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has gone, or says that it goes, and has had all its answers.
    Left,
    /// The server has closed the connection.
    Closed,
    /// The test is over.
    Over,
}

/// A client with its session.
pub(super) struct Pump<'a> {
    pub(super) client: &'a mut Client,
    pub(super) server: &'a mut Stream,
    from_server: Input,
    to_server: BytesMut,
    live: &'a Live,
    /// The server has not let the client in yet: what the client sends is for the server alone.
    is_starting: bool,
    pub(super) words: Words,
    /// The server knows that the client has finished.
    is_shut: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Client {
        Client {
            stream,
            input: Input::of_client(),
            out: BytesMut::with_capacity(8 * 1024),
            tap: Tap::default(),
            finished: false,
            deaf: false,
        }
    }

    /// Whether the client has gone, as far as can be known without waiting.
    pub(super) async fn has_left(&mut self) -> bool {
        poll_fn(|cx| {
            while !self.finished && self.input.buffer.len() < HIGH_WATER && self.poll_read(cx) {}
            Poll::Ready(self.finished || self.input.buffer.first() == Some(&b'X'))
        })
        .await
    }

    /// Writes what waits, as far as the client takes it at once.
    pub(super) async fn flush_some(&mut self) {
        poll_fn(|cx| {
            while self.poll_write(cx) {}
            Poll::Ready(())
        })
        .await;
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let result = poll_read(&mut self.stream, &mut self.input.buffer, cx);
        self.finished |= matches!(result, Poll::Ready(false));
        result.is_ready()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        self.tap.look(&self.out);
        let wrote = match poll_write(&mut self.stream, &mut self.out, cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                self.out.clear();
                true
            }
            Poll::Pending => false,
        };
        self.tap.left(self.out.len());
        wrote
    }
}

impl<'a> Pump<'a> {
    pub(super) fn new(client: &'a mut Client, server: &'a mut Stream, live: &'a Live, is_starting: bool) -> Pump<'a> {
        Pump {
            client,
            server,
            from_server: Input::of_server(),
            to_server: BytesMut::with_capacity(8 * 1024),
            live,
            is_starting,
            words: Words::default(),
            is_shut: false,
        }
    }

    /// Passes bytes until one of the three has enough.
    pub(super) async fn run(&mut self, closing: &mut watch::Receiver<bool>, taken: impl Fn()) -> End {
        let mut over = pin!(async { drop(closing.wait_for(|closing| *closing).await) });
        let mut is_closed = false;
        loop {
            if self.pass_on(&taken).is_err() {
                is_closed = true;
            }
            if is_closed && self.client.out.is_empty() {
                return End::Closed;
            }
            let has_gone = self.client.finished && self.to_server.is_empty();
            if has_gone && self.client.out.is_empty() && !self.live.is_lost() && !self.live.is_busy() {
                return End::Left;
            }
            let is_over = poll_fn(|cx| {
                if over.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                let mut progress = self.client.poll_write(cx);
                if is_closed {
                    return if progress { Poll::Ready(false) } else { Poll::Pending };
                }
                match poll_write(self.server, &mut self.to_server, cx) {
                    Poll::Ready(Ok(())) => progress = true,
                    // What it has said before is still to be read.
                    Poll::Ready(Err(_)) => self.to_server.clear(),
                    Poll::Pending => {}
                }
                if self.client.finished && self.live.is_lost() && self.to_server.is_empty() && !self.is_shut {
                    self.is_shut = Pin::new(&mut *self.server).poll_shutdown(cx).is_ready();
                }
                if !self.client.finished && self.to_server.len() < HIGH_WATER {
                    progress |= self.client.poll_read(cx);
                }
                if self.client.out.len() < HIGH_WATER
                    && let Poll::Ready(more) = poll_read(self.server, &mut self.from_server.buffer, cx)
                {
                    is_closed = !more;
                    progress = true;
                }
                if progress { Poll::Ready(false) } else { Poll::Pending }
            });
            if is_over.await {
                return End::Over;
            }
        }
    }

    fn pass_on(&mut self, taken: impl Fn()) -> io::Result<()> {
        while let Some(piece) = self.from_server.next()? {
            let bytes = match &piece {
                Piece::Frame(frame) => {
                    if frame.tag() == b'Z' {
                        self.is_starting = false;
                    }
                    self.live.answered(frame.tag(), frame.body());
                    frame.bytes()
                }
                Piece::Head(frame) => frame.bytes(),
                Piece::Data { bytes, .. } => bytes,
            };
            if !self.client.deaf {
                self.client.out.extend_from_slice(bytes);
            }
        }
        if self.is_starting || self.live.is_lost() {
            self.to_server.extend_from_slice(&self.client.input.buffer);
            self.client.input.buffer.clear();
            if self.client.finished {
                self.live.lose();
            }
            return Ok(());
        }
        while !(self.client.finished && self.client.input.buffer.is_empty()) {
            match self.client.input.next() {
                Ok(None) => break,
                Ok(Some(piece)) => self.take(&piece, &taken),
                Err(_) => {
                    // What is no message of a client, the server is to say.
                    self.live.lose();
                    self.to_server.extend_from_slice(&self.client.input.buffer);
                    self.client.input.buffer.clear();
                    break;
                }
            }
        }
        if self.client.finished && !self.client.input.buffer.is_empty() {
            // It has gone in the middle of a message.
            self.live.lose();
            self.to_server.extend_from_slice(&self.client.input.buffer);
            self.client.input.buffer.clear();
        }
        Ok(())
    }

    fn take(&mut self, piece: &Piece, taken: impl Fn()) {
        match piece {
            Piece::Frame(frame) if frame.tag() == b'X' => {
                self.client.finished = true;
                self.client.input.buffer.clear();
            }
            Piece::Frame(frame) | Piece::Head(frame) => {
                self.client.tap.sent(frame);
                self.live.sent(frame.tag());
                if matches!(frame.tag(), b'Q' | b'P') {
                    self.words = self.words.and(Words::of(frame.body()));
                }
                taken();
                self.to_server.extend_from_slice(frame.bytes());
            }
            Piece::Data { bytes, .. } => self.to_server.extend_from_slice(bytes),
        }
    }
}

/// Reads once; `false`: there is nothing more to come.
fn poll_read<S>(stream: &mut S, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<bool>
where
    S: AsyncRead + Unpin,
{
    buffer.reserve(READ);
    pin!(stream.read_buf(buffer)).poll(cx).map(|read| read.is_ok_and(|n| n > 0))
}

/// Writes once.
fn poll_write<S>(stream: &mut S, out: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<()>>
where
    S: AsyncWrite + Unpin,
{
    if out.is_empty() {
        return Poll::Pending;
    }
    match Pin::new(stream).poll_write(cx, out) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        Poll::Ready(Ok(n)) => {
            out.advance(n);
            Poll::Ready(Ok(()))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

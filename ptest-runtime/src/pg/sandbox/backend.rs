//! The backend: the one connection that all sessions of a test share, and the one transaction in it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answers::Lost;
use super::commit::Duties;
use super::constraints::{CHECK, Constraints};
use super::control;
use super::defaults::Defaults;
use super::expect::{Exchange, Loaded};
use super::frame::{self, Frame, Input, Piece};
use super::leftover::Leftover;
use super::reports::error_text;
use super::session::Session;
use super::settings::{Settings, text_rows};
use crate::pg::server::{Address, BackendKey, Connection, Stream};
use crate::pg::wire::frontend;

/// Bytes that may wait in either direction before the other side is made to wait.
pub(super) const HIGH_WATER: usize = 256 * 1024;

/// Room for one read: a server writes 8 KiB at a time, and more than one portion may have come.
const READ: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Backend {
    stream: Stream,
    pub(super) input: Input,
    pub(super) link: Exchange,
    /// The reports of parameters at start-up, for the sessions' own start-up.
    pub(super) parameters: Vec<(String, String)>,
    address: Address,
    key: BackendKey,
    pub(super) leftover: Option<Leftover>,
}

impl Backend {
    /// Takes over a connection whose transaction is open and whose savepoint stands.
    pub(crate) fn new(connection: Connection, address: Address) -> Self {
        let mut link = Exchange::default();
        link.loaded.user.clone_from(&address.user);
        Backend {
            parameters: connection.parameters().to_vec(),
            key: connection.key(),
            stream: connection.into_stream(),
            input: Input::of_server(),
            link,
            address,
            leftover: None,
        }
    }

    /// The connection again, for another sandbox; `None`: something is still under way.
    pub(crate) fn into_connection(self) -> Option<Connection> {
        let rests = self.link.out.is_empty() && self.link.expected.is_empty() && self.leftover.is_none();
        (rests && self.input.is_empty()).then(|| Connection::resume(self.stream, self.parameters, self.key))
    }

    /// Writes what it can of what waits, and reads what has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, room: bool) -> Poll<io::Result<()>> {
        let wrote = poll_write(&mut self.stream, &mut self.link.out, cx)?;
        let read = room && poll_read(&mut self.stream, &mut self.input.buffer, cx)?.is_some_and(|n| n > 0);
        if wrote || read { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Writes all that waits.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.link.out.is_empty() {
            let Backend { stream, link, .. } = self;
            stream.write_buf(&mut link.out).await?;
        }
        Ok(())
    }

    /// Asks the server to cancel what runs, and waits until it has taken note: a request that is still on its way could
    /// hit what the next session runs.
    pub(super) async fn cancel(&self) -> io::Result<()> {
        let mut stream = Stream::connect(&self.address.endpoint).await?;
        let mut out = BytesMut::new();
        frontend::cancel_request(&mut out, self.key.process, self.key.secret);
        stream.write_all(&out).await?;
        stream.read_to_end(&mut Vec::new()).await?;
        Ok(())
    }

    /// Forgets the settings of the sessions of a test, which are rolled back.
    pub(super) fn forget_settings(&mut self) {
        let user = std::mem::take(&mut self.link.loaded.user);
        let reported = self.parameters.iter().cloned().collect();
        self.link.loaded = Loaded { user, reported, ..Loaded::default() };
    }

    /// Gives the backend the settings of the session that takes the turn. Settings that the server has accepted once
    /// cost no round trip; of others, its error is returned, and its notices go to `out`.
    pub(super) async fn load(&mut self, session: &mut Session, out: &mut BytesMut) -> Result<Result<(), Frame>, Lost> {
        self.undo_leftover();
        if self.link.loaded.pending {
            self.quiet().await?;
        }
        if self.link.loaded.session == session.id {
            return Ok(Ok(()));
        }
        let loaded = &mut self.link.loaded;
        let target = loaded.others.remove(&session.id).unwrap_or_else(|| session.initial.clone());
        let mut change = loaded.settings.change_to(&target);
        if !change.is_empty() {
            change.extend(control::KEEP.map(str::to_owned));
            if session.accepted {
                self.link.commands(&change.join(";"));
            } else if let Err(refused) = self.ask_aloud(&[&change.join(";")], out).await? {
                self.link.commands(control::UNDO);
                return Ok(Err(refused));
            }
        }
        session.accepted = true;
        let loaded = &mut self.link.loaded;
        let before = std::mem::replace(&mut loaded.settings, target);
        let other = std::mem::replace(&mut loaded.session, session.id);
        loaded.others.insert(other, before);
        Ok(Ok(()))
    }

    /// Commits ptest's transaction, and ends the connection. A transaction that a session has left open is committed as
    /// well, if it can be.
    pub(crate) async fn commit(mut self) -> Result<(), Lost> {
        self.leftover = None;
        if self.ask(&[CHECK]).await?.is_err() {
            // What lies below the savepoint has been checked by the commits of the sessions.
            self.query(control::UNDO).await?;
        }
        match self.ask(&["COMMIT"]).await {
            Err(Lost::Escaped) => Ok(()),
            Ok(Err(error)) => Err(Lost::Confused(error_text(&error))),
            Ok(Ok(_)) => Err(Lost::Confused("the transaction could not be committed".to_owned())),
            Err(lost) => Err(lost),
        }
    }

    /// Waits until nothing is under way.
    pub(super) async fn quiet(&mut self) -> Result<(), Lost> {
        let nothing = (Duties::new(Constraints::None), Settings::default(), Defaults::of_server(0));
        let mut nobody = Session::new(0, Rc::new(RefCell::new(nothing.0)), nothing.1, nothing.2);
        let mut out = BytesMut::new();
        while !self.link.expected.is_empty() {
            self.relay(&mut nobody, &mut out).await?;
        }
        Ok(())
    }

    /// Checks what is deferred in a transaction that the last client has left open, and returns the server's words.
    pub(crate) async fn check_leftover(&mut self) -> Result<Option<String>, Lost> {
        let Some(leftover) = self.leftover.take() else { return Ok(None) };
        let checked = self.try_query(CHECK).await?;
        self.leftover = Some(leftover);
        Ok(checked.err())
    }

    /// Undoes what lies above the savepoint, with the next message.
    pub(crate) fn undo(&mut self) {
        self.link.commands(control::UNDO);
    }

    /// Runs a string that the server may refuse, and returns the rows as text, or the server's words.
    pub(crate) async fn try_query(&mut self, sql: &str) -> Result<Result<Vec<Vec<Option<String>>>, String>, Lost> {
        Ok(self.ask(&[sql]).await?.map_err(|error| error_text(&error)))
    }

    /// Runs commands of the sandbox between batches, and returns the rows as text.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Lost> {
        self.queries(&[sql]).await
    }

    /// Runs several strings in one round trip. Between two of them the backend may be outside of a transaction.
    pub(crate) async fn queries(&mut self, sql: &[&str]) -> Result<Vec<Vec<Option<String>>>, Lost> {
        self.ask(sql).await?.map_err(|error| Lost::Confused(error_text(&error)))
    }

    /// The same, where the server may refuse.
    async fn ask(&mut self, sql: &[&str]) -> Result<Result<Vec<Vec<Option<String>>>, Frame>, Lost> {
        self.ask_aloud(sql, &mut BytesMut::new()).await
    }

    /// The same, where its notices are of interest too.
    async fn ask_aloud(
        &mut self,
        sql: &[&str],
        notices: &mut BytesMut,
    ) -> Result<Result<Vec<Vec<Option<String>>>, Frame>, Lost> {
        self.undo_leftover();
        self.quiet().await?;
        for sql in sql {
            frame::put_query(&mut self.link.out, sql.as_bytes());
        }
        let mut unanswered = sql.len();
        let mut rows = Vec::new();
        let mut error = None;
        loop {
            self.exchange().await?;
            while let Some(piece) = self.input.next().map_err(broken)? {
                match piece {
                    // The sandbox's own questions have short answers, but a row may come in portions.
                    Piece::Data { bytes, .. } => rows.push(bytes),
                    Piece::Frame(f) | Piece::Head(f) => match f.tag() {
                        b'S' => drop(self.link.loaded.report(&f)),
                        b'N' => notices.extend_from_slice(f.bytes()),
                        b'E' => error = Some(f),
                        b'Z' if unanswered > 1 => unanswered -= 1,
                        b'Z' if error.is_none() && f.body() == b"I" => return Err(Lost::Escaped),
                        b'Z' => return Ok(error.map_or_else(|| Ok(text_rows(&rows.concat())), Err)),
                        _ => {}
                    },
                }
            }
        }
    }

    pub(super) async fn relay(&mut self, session: &mut Session, out: &mut BytesMut) -> Result<(), Lost> {
        self.exchange().await?;
        while let Some(piece) = self.input.next().map_err(broken)? {
            session.server(&piece, &mut self.link, out)?;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<(), Lost> {
        poll_fn(|cx| self.poll(cx, true)).await.map_err(broken)
    }
}

pub(super) fn broken(error: io::Error) -> Lost {
    Lost::Confused(format!("the connection to the server broke: {error}"))
}

/// Writes once; whether anything was written.
pub(super) fn poll_write<S>(stream: &mut S, out: &mut BytesMut, cx: &mut Context<'_>) -> io::Result<bool>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    if out.is_empty() {
        return Ok(false);
    }
    match Pin::new(stream).poll_write(cx, out) {
        Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
        Poll::Ready(Ok(n)) => {
            out.advance(n);
            Ok(true)
        }
        Poll::Ready(Err(error)) => Err(error),
        Poll::Pending => Ok(false),
    }
}

/// Reads once; `None`: nothing has come yet. The end of a backend's stream is an error.
fn poll_read(stream: &mut Stream, buffer: &mut BytesMut, cx: &mut Context<'_>) -> io::Result<Option<usize>> {
    buffer.reserve(READ);
    match pin!(stream.read_buf(buffer)).poll(cx) {
        Poll::Ready(Ok(0)) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
        Poll::Ready(result) => result.map(Some),
        Poll::Pending => Ok(None),
    }
}

//! A plain connection to a server: what administration and the sandbox's backend are made from.
//!
//! It speaks the simple query protocol only, and returns rows as text.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::ServerError;
use super::address::{Address, Endpoint};
use super::auth::{self, SCRAM_SHA_256, Scram};
use crate::pg::wire::backend::{self, Authentication, Header, Message};
use crate::pg::wire::{self, frontend};

/// The two transports of a server.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub(crate) async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
        match endpoint {
            Endpoint::Unix { folder, port } => {
                UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.map(Stream::Unix)
            }
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

impl Stream {
    /// Takes over a socket that another process has connected to this endpoint.
    pub(crate) fn adopt(endpoint: &Endpoint, descriptor: OwnedFd) -> io::Result<Stream> {
        match endpoint {
            Endpoint::Unix { .. } => UnixStream::from_std(descriptor.into()).map(Stream::Unix),
            Endpoint::Tcp { .. } => TcpStream::from_std(descriptor.into()).map(Stream::Tcp),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// An authenticated connection, between two queries.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    input: BytesMut,
    parameters: Vec<(String, String)>,
    key: BackendKey,
    completed: usize,
}

/// What a cancel request must name (PostgreSQL manual, section 55.2.8).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackendKey {
    pub(crate) process: i32,
    pub(crate) secret: i32,
}

/// A connection that was begun with a client's own start-up message.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) stream: Stream,
    /// What the server has said, from `AuthenticationOk` to the first `ReadyForQuery`.
    pub(crate) greeting: BytesMut,
    pub(crate) key: BackendKey,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What the server has said, which ends with its error.
    Said(BytesMut),
    Io(io::Error),
}

/// An error that the server sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DbError {
    pub(crate) severity: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// The character of the statement, from 1.
    pub(crate) position: Option<usize>,
    pub(crate) context: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the connection to the server broke")]
    Io(#[from] io::Error),
}

impl QueryError {
    /// Whether it is the server that has gone, or goes.
    pub(crate) fn is_end_of_server(&self) -> bool {
        match self {
            QueryError::Db(error) => error.is_end_of_server(),
            QueryError::Io(_) => true,
        }
    }
}

/// How long a server, or whatever else listens there, may take to let a client in.
const ANSWER: Duration = Duration::from_secs(30);

/// The rows of a query, as text.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

impl Connection {
    /// Connects and authenticates: trust, password, MD5 and SCRAM-SHA-256, in the clear.
    ///
    /// `settings` are start-up parameters; they survive `RESET ALL`.
    pub(crate) async fn open(
        address: &Address,
        database: &str,
        settings: &[(&str, &str)],
    ) -> Result<Connection, ServerError> {
        let opened = tokio::time::timeout(ANSWER, Connection::connect(address, database, settings)).await;
        opened.unwrap_or_else(|_| {
            let source = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {ANSWER:?}"));
            Err(ServerError::Connect { address: Box::new(address.clone()), source })
        })
    }

    /// Connects with a client's own start-up message, and authenticates where the server wants it.
    pub(crate) async fn greeted(address: &Address, startup: &[u8]) -> Result<Greeted, Refusal> {
        let greeted = async {
            let mut connection = Connection::on(Stream::connect(&address.endpoint).await?);
            connection.stream.write_all(startup).await?;
            match connection.authenticate(address).await {
                Ok(()) => connection.greeting().await,
                Err(QueryError::Io(error)) => Err(error),
                Err(QueryError::Db(error)) => Ok(Err(Refusal::Said(error.frame()))),
            }
        };
        let opened =
            tokio::time::timeout(ANSWER, greeted).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        opened.unwrap_or_else(|error| Err(Refusal::Io(error)))
    }

    /// Reads what comes between the acceptance and the first `ReadyForQuery`.
    async fn greeting(mut self) -> io::Result<Result<Greeted, Refusal>> {
        let mut greeting = BytesMut::from(&b"R\0\0\0\x08\0\0\0\0"[..]);
        loop {
            while let Some(Header { tag, total }) = Header::parse(&self.input)?
                && self.input.len() >= total
            {
                let frame = self.input.split_to(total);
                greeting.extend_from_slice(&frame);
                match (tag, &frame[5..]) {
                    (b'K', [a, b, c, d, e, f, g, h]) => {
                        let number = |bytes: [&u8; 4]| i32::from_be_bytes(bytes.map(|b| *b));
                        self.key = BackendKey { process: number([a, b, c, d]), secret: number([e, f, g, h]) };
                    }
                    (b'E', _) => return Ok(Err(Refusal::Said(greeting))),
                    (b'Z', _) => return Ok(Ok(Greeted { stream: self.stream, greeting, key: self.key })),
                    _ => {}
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn on(stream: Stream) -> Connection {
        Connection {
            stream,
            input: BytesMut::with_capacity(8192),
            parameters: Vec::new(),
            key: BackendKey::default(),
            completed: 0,
        }
    }

    async fn connect(address: &Address, database: &str, settings: &[(&str, &str)]) -> Result<Connection, ServerError> {
        let failed = |source| ServerError::Connect { address: Box::new(address.clone()), source };
        let mut connection = Connection::on(Stream::connect(&address.endpoint).await.map_err(failed)?);
        match connection.start(address, database, settings).await {
            Ok(()) => Ok(connection),
            Err(QueryError::Db(source)) => {
                Err(ServerError::Refused { address: Box::new(address.clone()), database: database.to_owned(), source })
            }
            Err(QueryError::Io(source)) => Err(failed(source)),
        }
    }

    async fn start(&mut self, address: &Address, database: &str, settings: &[(&str, &str)]) -> Result<(), QueryError> {
        let mut out = BytesMut::new();
        let who = [("user", address.user.as_str()), ("database", database), ("client_encoding", "UTF8")];
        frontend::startup(&mut out, who.into_iter().chain(settings.iter().copied()));
        self.stream.write_all(&out).await?;
        self.authenticate(address).await?;
        loop {
            match self.receive().await? {
                Message::ParameterStatus { name, value } => self.parameters.push((name, value)),
                Message::BackendKeyData { process, secret } => self.key = BackendKey { process, secret },
                Message::ReadyForQuery => return Ok(()),
                Message::ErrorResponse(body) => return Err(DbError::read(body).into()),
                _ => {}
            }
        }
    }

    async fn authenticate(&mut self, address: &Address) -> Result<(), QueryError> {
        let password = || {
            address.password.as_deref().ok_or_else(|| DbError {
                code: "28P01".to_owned(),
                severity: "FATAL".to_owned(),
                message: "the server asks for a password, and the URL has none".to_owned(),
                ..DbError::default()
            })
        };
        let mut scram = None;
        loop {
            let mut out = BytesMut::new();
            let wanted = match self.receive().await? {
                Message::Authentication(wanted) => wanted,
                Message::ErrorResponse(body) => return Err(DbError::read(body).into()),
                Message::Other(b'N') => continue,
                _ => return Err(out_of_order().into()),
            };
            match wanted {
                Authentication::Ok => return Ok(()),
                Authentication::CleartextPassword => frontend::password(&mut out, password()?),
                Authentication::Md5Password { salt } => {
                    frontend::password(&mut out, &auth::md5(&address.user, password()?, salt));
                }
                Authentication::Sasl(mechanisms) => {
                    if !mechanisms.iter().any(|mechanism| mechanism == SCRAM_SHA_256) {
                        return Err(DbError::unsupported(&format!("SASL {}", mechanisms.join(", "))).into());
                    }
                    let state = scram.insert(Scram::new(password()?)?);
                    frontend::sasl_initial(&mut out, SCRAM_SHA_256, &state.first());
                }
                Authentication::SaslContinue(data) => {
                    frontend::sasl(&mut out, &scram.as_mut().ok_or_else(out_of_order)?.answer(&data)?);
                }
                Authentication::SaslFinal(data) => scram.as_ref().ok_or_else(out_of_order)?.verify(&data)?,
                Authentication::Other(_) => return Err(DbError::unsupported("GSSAPI or SSPI").into()),
            }
            self.stream.write_all(&out).await?;
        }
    }

    /// The connection that this stream was, between two queries.
    pub(crate) fn resume(stream: Stream, parameters: Vec<(String, String)>, key: BackendKey) -> Connection {
        Connection { stream, input: BytesMut::new(), parameters, key, completed: 0 }
    }

    /// Runs one or more statements and returns all their rows.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows, QueryError> {
        self.send(sql).await?;
        self.finish().await
    }

    /// Sends a query whose answer a later [`finish`](Self::finish) reads; several may be under way.
    pub(crate) async fn send(&mut self, sql: &str) -> io::Result<()> {
        let mut out = BytesMut::with_capacity(sql.len() + 8);
        frontend::query(&mut out, sql);
        self.stream.write_all(&out).await
    }

    /// Sends a `COPY … FROM STDIN` with its data, whose answer a later [`finish`](Self::finish) reads.
    pub(crate) async fn send_copy(&mut self, sql: &str, data: &[u8]) -> io::Result<()> {
        let mut out = BytesMut::with_capacity(sql.len() + data.len() + 32);
        frontend::query(&mut out, sql);
        // Refused, the server takes no notice of it.
        frontend::copy_data(&mut out, data);
        frontend::copy_done(&mut out);
        self.stream.write_all(&out).await
    }

    /// Runs a `COPY … TO STDOUT`, and returns the data.
    pub(crate) async fn copy_out(&mut self, sql: &str) -> Result<BytesMut, QueryError> {
        self.send(sql).await?;
        let mut data = BytesMut::new();
        let mut error = None;
        loop {
            match self.receive().await? {
                Message::CopyData(body) => data.extend_from_slice(&body),
                Message::ErrorResponse(body) => error = Some(DbError::read(body)),
                Message::ReadyForQuery => return error.map_or(Ok(data), |error| Err(error.into())),
                _ => {}
            }
        }
    }

    /// Sends statements as one batch of the extended protocol, whose answer comes after the last: nothing is sent to a
    /// client that may be gone before they have run.
    pub(crate) async fn send_batch(&mut self, statements: &[String]) -> io::Result<()> {
        let mut out = BytesMut::new();
        for sql in statements {
            frontend::execute(&mut out, sql);
        }
        frontend::sync(&mut out);
        self.stream.write_all(&out).await
    }

    /// Runs a `COPY … FROM stdin`, and sends these rows.
    pub(crate) async fn copy_in(&mut self, sql: &str, rows: &str) -> Result<(), QueryError> {
        self.send(sql).await?;
        self.answer(Some(rows)).await.map(drop)
    }

    /// Reads the answer of the oldest query under way.
    pub(crate) async fn finish(&mut self) -> Result<Rows, QueryError> {
        self.answer(None).await
    }

    /// The same, where the server may ask for rows.
    async fn answer(&mut self, mut copied: Option<&str>) -> Result<Rows, QueryError> {
        let mut rows = Vec::new();
        let mut error = None;
        self.completed = 0;
        loop {
            match self.receive().await? {
                Message::CommandComplete => self.completed += 1,
                Message::DataRow(row) => rows.push(backend::values(row)?),
                Message::ErrorResponse(body) => error = Some(DbError::read(body)),
                Message::CopyInResponse => self.copy(copied.take()).await?,
                Message::ReadyForQuery => break,
                _ => {}
            }
            // A fatal error ends the connection without ReadyForQuery; the cause matters more than the broken pipe.
            if error.as_ref().is_some_and(DbError::is_fatal) {
                break;
            }
        }
        error.map_or(Ok(rows), |e| Err(e.into()))
    }

    /// Sends the rows that the server waits for; it takes an error for none.
    async fn copy(&mut self, rows: Option<&str>) -> io::Result<()> {
        /// What one message holds at most.
        const PART: usize = 64 * 1024;
        let mut out = BytesMut::with_capacity(PART + 8);
        for part in rows.unwrap_or_default().as_bytes().chunks(PART) {
            frontend::copy_data(&mut out, part);
            self.stream.write_all(&out).await?;
            out.clear();
        }
        match rows {
            Some(_) => frontend::copy_done(&mut out),
            None => frontend::copy_fail(&mut out, "only psql sends the rows that stand in a script"),
        }
        self.stream.write_all(&out).await
    }

    /// How many statements of the last query succeeded.
    pub(crate) fn completed(&self) -> usize {
        self.completed
    }

    /// Says goodbye and waits until the backend is gone, so that its database can be renamed or dropped.
    pub(crate) async fn close(mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        if self.stream.write_all(&out).await.is_ok() {
            while self.stream.read_buf(&mut self.input).await.is_ok_and(|n| n > 0) {
                self.input.clear();
            }
        }
    }

    /// The server's reports of its parameters at start-up.
    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The server's major version.
    pub(crate) fn major_version(&self) -> u32 {
        let version = self.parameter("server_version").unwrap_or_default();
        version.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok()).unwrap_or_default()
    }

    /// Whether the user may do everything.
    pub(crate) fn is_superuser(&self) -> bool {
        self.parameter("is_superuser") == Some("on")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    /// The key of the backend.
    pub(crate) fn key(&self) -> BackendKey {
        self.key
    }

    /// Gives up the query interface for the bare stream; nothing may be under way.
    pub(crate) fn into_stream(self) -> Stream {
        debug_assert!(self.input.is_empty());
        self.stream
    }

    async fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.input)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
    }
}

impl DbError {
    /// The fields of an `ErrorResponse`.
    fn read(body: Bytes) -> DbError {
        let mut error = DbError::default();
        for (kind, value) in backend::fields(body) {
            match kind {
                b'V' => error.severity = value,
                b'C' => error.code = value,
                b'M' => error.message = value,
                b'D' => error.detail = Some(value),
                b'H' => error.hint = Some(value),
                b'P' => error.position = value.parse().ok(),
                b'W' => error.context = Some(value),
                _ => {}
            }
        }
        error
    }

    /// As the server has sent it.
    fn frame(&self) -> BytesMut {
        let fields = [
            (b'S', Some(&self.severity)),
            (b'V', Some(&self.severity)),
            (b'C', Some(&self.code)),
            (b'M', Some(&self.message)),
            (b'D', self.detail.as_ref()),
            (b'H', self.hint.as_ref()),
        ];
        let mut frame = BytesMut::new();
        wire::put(&mut frame, b'E', |body| {
            for (kind, text) in fields {
                if let Some(text) = text {
                    body.put_u8(kind);
                    wire::put_cstr(body, text.as_bytes());
                }
            }
            body.put_u8(0);
        });
        frame
    }

    fn unsupported(method: &str) -> DbError {
        DbError {
            code: "28000".to_owned(),
            message: format!("the server wants {method} authentication, which ptest does not speak"),
            hint: Some("use trust, password, md5 or scram-sha-256 for the test user in pg_hba.conf".to_owned()),
            severity: "FATAL".to_owned(),
            ..DbError::default()
        }
    }

    /// Whether the server ends, or has ended this connection because of that (PostgreSQL manual, appendix A: class 57).
    pub(super) fn is_end_of_server(&self) -> bool {
        match self.code.as_str() {
            "57P01" | "57P02" => true,
            // Also said by a server that starts up. ptest's own speaks English.
            "57P03" => self.message == "the database system is shutting down",
            _ => false,
        }
    }

    fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        for (name, text) in [("detail", &self.detail), ("hint", &self.hint), ("context", &self.context)] {
            if let Some(text) = text {
                write!(f, "\n{name}: {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for DbError {}

fn out_of_order() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server sent an authentication message out of order")
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Tcp(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Tcp(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(s) => Pin::new(s).poll_flush(cx),
            Stream::Tcp(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tcp(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_never_answers_is_no_server() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://{}/app", silent.local_addr().unwrap());
        let address = Address::from_url(&url, "the test").unwrap();
        let error = Connection::open(&address, "app", &[]).await.unwrap_err();
        assert!(matches!(&error, ServerError::Connect { source, .. } if source.to_string() == "no answer within 30s"));
    }
}

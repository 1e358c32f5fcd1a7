//! A TCP port in front of the sandbox's Unix socket. It asks for the password, and changes the database that a start-up names.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

use crate::password::Password;

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
/// The major version of the protocol's start-up message.
const STARTUP: i32 = 3;
/// The longest start-up message that PostgreSQL reads (manual, 55.7).
const LONGEST: usize = 10_000;

/// How long a client may take to tell who it is.
const PATIENCE: Duration = Duration::from_secs(60);

struct Sandbox {
    socket: PathBuf,
    database: String,
    password: Password,
}

/// Opens the port, and returns its number.
pub(crate) async fn start(url: &str, port: u16, password: Password) -> io::Result<u16> {
    let sandbox =
        Arc::new(Sandbox::of(url, password).ok_or_else(|| io::Error::other(format!("{url} names no socket")))?);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let sandbox = Arc::clone(&sandbox);
            tokio::spawn(async move { sandbox.connect(client).await });
        }
    });
    Ok(port)
}

impl Sandbox {
    /// `postgres://user@%2Ffolder:port/database`
    fn of(url: &str, password: Password) -> Option<Sandbox> {
        let (_, rest) = url.split_once('@')?;
        let (host, database) = rest.split_once('/')?;
        let (folder, port) = host.rsplit_once(':')?;
        let folder = folder.replace("%2F", "/").replace("%2D", "-").replace("%2E", ".").replace("%5F", "_");
        let database = database.split('?').next().unwrap_or(database).to_owned();
        Some(Sandbox { socket: PathBuf::from(folder).join(format!(".s.PGSQL.{port}")), database, password })
    }

    async fn connect(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let first = match timeout(PATIENCE, self.admit(&mut client)).await {
            Ok(admitted) => admitted?,
            Err(_) => return Ok(()),
        };
        let Some(first) = first else { return Ok(()) };
        let mut server = UnixStream::connect(&self.socket).await?;
        server.write_all(&(first.len() as u32 + 4).to_be_bytes()).await?;
        server.write_all(&first).await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }

    /// The first message for the sandbox, of a client that knows the password. A request to cancel proves itself; anything else is
    /// refused by the sandbox.
    async fn admit(&self, client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
        loop {
            let message = startup(client).await?;
            match code(&message) {
                SSL_REQUEST | GSS_REQUEST => client.write_all(b"N").await?,
                code if code >> 16 == STARTUP => {
                    let known = self.password.is_known_to(client).await?;
                    return Ok(known.then(|| self.renamed(&message)));
                }
                _ => return Ok(Some(message)),
            }
        }
    }

    /// The start-up message with the sandbox's database in it.
    fn renamed(&self, message: &[u8]) -> Vec<u8> {
        let mut words = message[4..].split(|byte| *byte == 0);
        let mut renamed = [&message[..4], b"database\0", self.database.as_bytes(), b"\0"].concat();
        while let (Some(name), Some(value)) = (words.next().filter(|name| !name.is_empty()), words.next()) {
            if name != b"database" {
                renamed.extend([name, b"\0", value, b"\0"].concat());
            }
        }
        renamed.push(0);
        renamed
    }
}

/// A message without a tag, without its length.
async fn startup(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await? as usize;
    if !(8..LONGEST).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length - 4];
    client.read_exact(&mut message).await?;
    Ok(message)
}

fn code(message: &[u8]) -> i32 {
    message.first_chunk().map_or(0, |code| i32::from_be_bytes(*code))
}

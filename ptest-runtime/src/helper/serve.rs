//! The helper's life: it waits for tests and for the ends of what it keeps, on one thread, and goes when it is of no use.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::are_quiet;
use super::message::{self, Inbox, Kind, Message};
use super::place::{is_this_user, socket_in};
use super::start::SERVES;
use super::stock::Stock;
use crate::config;

/// How long a helper stays that has nothing to lend, and how long a test may take to say what it wants.
const QUIET: Duration = Duration::from_secs(5);

/// Becomes the helper and never returns, if this process was started for it.
pub(crate) fn serve_if_called() {
    let Some(folder) = config::helper_call() else { return };
    // Past the runner's capture, into the log.
    let mut log = io::stderr();
    let _ = writeln!(log, "\n{SERVES}");
    let _ = match Helper::new(&folder).and_then(|mut helper| helper.serve()) {
        Ok(()) => writeln!(log, "has ended"),
        Err(error) => writeln!(log, "has ended: {error}"),
    };
    std::process::exit(0);
}

struct Helper {
    listener: UnixListener,
    folder: PathBuf,
    /// The number of the socket's file: under its name there may be another helper's.
    socket: (u64, u64),
    visitors: Vec<Visitor>,
    stock: Stock<Lendable>,
    /// When a test spoke last.
    heard: Instant,
}

/// A test that has not said yet what it wants.
struct Visitor {
    stream: UnixStream,
    inbox: Inbox,
    since: Instant,
}

struct Lendable {
    description: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Helper {
    /// Makes the socket, and leaves the session and the folder of the test that has started this process.
    fn new(folder: &Path) -> io::Result<Helper> {
        // Who finds the socket can connect to it. What is there now was left by a helper that was killed.
        let new = folder.join("new");
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new)?;
        listener.set_nonblocking(true)?;
        fs::rename(&new, socket_in(folder))?;
        // Refused to the leader of a process group, who needs it less.
        let _ = rustix::process::setsid();
        std::env::set_current_dir("/")?;
        let socket = number(&socket_in(folder))?;
        let (stock, heard) = (Stock::default(), Instant::now());
        Ok(Helper { listener, folder: folder.to_owned(), socket, visitors: Vec::new(), stock, heard })
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let speak = self.wait()?;
            // In the order of their coming: what one gives, the next may ask for.
            for (visitor, speaks) in std::mem::take(&mut self.visitors).into_iter().zip(speak) {
                let stays = if speaks { self.hear(visitor) } else { Some(visitor) };
                self.visitors.extend(stays);
            }
            self.let_in()?;
            let now = Instant::now();
            self.stock.sweep(now);
            self.visitors.retain(|visitor| now - visitor.since < QUIET);
            // Abandoned, or its place was cleaned up.
            if number(&socket_in(&self.folder)).ok() != Some(self.socket) {
                return Ok(());
            }
            if self.stock.is_empty() && now - self.heard >= QUIET {
                let _ = fs::remove_file(socket_in(&self.folder));
                let _ = fs::remove_dir(&self.folder);
                return Ok(());
            }
        }
    }

    /// Waits until something happens. Closes what the server has closed, and gives which of the visitors have said something.
    fn wait(&mut self) -> io::Result<Vec<bool>> {
        let lent = self.stock.iter().flat_map(|item| &item.descriptors).map(AsFd::as_fd);
        let visitors = self.visitors.iter().map(|visitor| visitor.stream.as_fd());
        let all = std::iter::once(self.listener.as_fd()).chain(visitors).chain(lent);
        let mut polled: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let limit = self.stock.next_sweep().map_or(QUIET, |at| at.saturating_duration_since(Instant::now()).min(QUIET));
        match rustix::event::poll(&mut polled, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut said = polled.into_iter().map(|polled| !polled.revents().is_empty()).collect::<Vec<_>>().into_iter();
        // The listener is asked in any case.
        said.next();
        let speak = said.by_ref().take(self.visitors.len()).collect();
        // Between two tests a server has nothing to say but that it is going.
        self.stock.retain(|item| !item.descriptors.iter().fold(false, |any, _| said.next().unwrap_or_default() | any));
        Ok(speak)
    }

    /// Lets in who has come.
    fn let_in(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) if is_this_user(&stream) && stream.set_nonblocking(true).is_ok() => {
                    self.visitors.push(Visitor { stream, inbox: Inbox::default(), since: Instant::now() });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Hears what a visitor has to say; who has said it, or goes, is no visitor any more.
    fn hear(&mut self, mut visitor: Visitor) -> Option<Visitor> {
        let said = visitor.inbox.receive(&visitor.stream).and_then(|length| Ok((length, visitor.inbox.parse()?)));
        match said {
            Ok((_, Some(message))) => {
                self.heard = Instant::now();
                self.stock.hear(self.heard);
                self.answer(&visitor.stream, message);
                None
            }
            Ok((1.., None)) => Some(visitor),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(visitor),
            Ok((0, None)) | Err(_) => None,
        }
    }

    fn answer(&mut self, stream: &UnixStream, message: Message) {
        let mut fields = message.fields.into_iter();
        let mut field = || fields.next().unwrap_or_default();
        let key = field();
        // Who does not wait for the answer needs none.
        let _ = match message.kind {
            Kind::Ask => match self.alive(&key) {
                Some(item) => lend(stream, &item),
                None => message::send(stream, Kind::Nothing, &[], &[]),
            },
            Kind::Give => {
                let keep = std::str::from_utf8(&field()).ok().and_then(|millis| millis.parse().ok());
                let item = Lendable { description: field(), descriptors: message.descriptors };
                self.stock.give(key, keep.map(Duration::from_millis), item, self.heard);
                Ok(())
            }
            Kind::Release => {
                self.stock.release(&key);
                message::send(stream, Kind::Nothing, &[], &[])
            }
            Kind::Lend | Kind::Nothing => Ok(()),
        };
    }

    /// Something under this key whose server has not gone a moment ago.
    fn alive(&mut self, key: &[u8]) -> Option<Lendable> {
        loop {
            let item = self.stock.lend(key)?;
            if are_quiet(&item.descriptors) {
                return Some(item);
            }
        }
    }
}

/// Hands something over. No copy of it stays here, or it would live on when the test's process dies.
fn lend(stream: &UnixStream, item: &Lendable) -> io::Result<()> {
    let descriptors: Vec<_> = item.descriptors.iter().map(AsFd::as_fd).collect();
    message::send(stream, Kind::Lend, &[&item.description], &descriptors)
}

fn number(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

//! The forwarder: passes each client of a test to a session of the server's own, through a socket of the test's own.
//!
//! It changes nothing that a client sends or gets. It differs from the server's own socket in this, and nothing else on
//! purpose:
//!
//! - Start-up is answered at once where a session waits that was begun with the same message; its process was there before.
//! - A client of ptest's own user is let in without a password; the socket is private. Any other is asked by the server.
//! - `Terminate` ends the client's part. The session is reset, and serves the next client that begins as this one did,
//!   unless something may have been left in it that no reset undoes (see [`words`]).
//!
//! | part | what it does |
//! |---|---|
//! | `startup` | the first messages of a client |
//! | `session` | a session of the server, as plain values: made, reset |
//! | `pump` | the bytes in both directions |
//! | `traffic` | whether a session is at rest |
//! | `words` | what of a client's text outlasts a reset |
//! | `client` | a client from its start-up to its end |
//! | `handle` | what reaches a forwarder from the test's thread |

mod client;
mod handle;
mod pump;
mod session;
mod startup;
mod traffic;
mod words;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};

pub(crate) use handle::Opened;
pub(crate) use session::Session;
pub(crate) use startup::Startup;
pub(crate) use words::Words;

use crate::audit::Straggler;
use crate::engine::Activity;
use crate::pg::sandbox::Record;
use crate::pg::sandbox::log::Log;
use crate::pg::server::{Address, BackendKey};
use crate::pg::slot::LeaseError;
use crate::pg::socket::Socket;
use crate::spec::Level;
use client::Live;

/// How long clients may take to leave when the test is over.
const LEAVE: Duration = Duration::from_secs(5);

/// The clients of one test. Lives on the thread of its database.
#[derive(Debug)]
pub(crate) struct Forwarder {
    shared: Rc<Shared>,
    accepting: JoinHandle<()>,
    answering: JoinHandle<()>,
    socket: Socket,
}

#[derive(Debug)]
struct Shared {
    server: Address,
    database: String,
    level: Level,
    /// Whether a session may serve one client after another.
    reuses: bool,
    log: Rc<Log>,
    /// Sessions without a client.
    ready: RefCell<Vec<Session>>,
    live: RefCell<Vec<Rc<Live>>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
    last_id: Cell<u32>,
    /// How many messages were taken from clients.
    taken: Cell<u64>,
    closing: watch::Sender<bool>,
    /// The body has returned.
    over: Cell<bool>,
    /// Those whose client has gone, and which were not at rest.
    ended: RefCell<Vec<BackendKey>>,
    stragglers: RefCell<Vec<Straggler>>,
    words: Cell<Words>,
    /// What the sessions were begun with that ran at once when there were the most.
    begun: RefCell<Vec<Startup>>,
}

/// What is left of a forwarder.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Sessions that are as new.
    pub(crate) sessions: Vec<Session>,
    /// Those that were not at rest; their connections are closed, and the server may not have noticed.
    pub(crate) ended: Vec<BackendKey>,
    /// Sessions that were not done when the body had returned.
    pub(crate) stragglers: Vec<Straggler>,
    pub(crate) record: Record,
    /// What the clients' texts have spoken of.
    pub(crate) words: Words,
    /// What the sessions were begun with that ran at once when there were the most.
    pub(crate) begun: Vec<Startup>,
}

impl Forwarder {
    /// Opens a socket for the clients of a test. `ready`: sessions of that database that are as new. `reuses`: whether one may
    /// serve another client when it is reset.
    pub(crate) fn open(
        server: &Address,
        database: &str,
        level: Level,
        ready: Vec<Session>,
        reuses: bool,
    ) -> Result<(Forwarder, Opened), LeaseError> {
        let (listener, socket) = Socket::bind()?;
        let shared = Rc::new(Shared {
            server: server.clone(),
            database: database.to_owned(),
            level,
            reuses,
            log: Rc::default(),
            ready: RefCell::new(ready),
            live: RefCell::default(),
            tasks: RefCell::default(),
            last_id: Cell::new(0),
            taken: Cell::new(0),
            closing: watch::Sender::new(false),
            over: Cell::new(false),
            ended: RefCell::default(),
            stragglers: RefCell::default(),
            words: Cell::default(),
            begun: RefCell::default(),
        });
        let (opened, inbox) = Opened::new(socket.folder().to_owned(), socket.port());
        let accepting = spawn_local(accept(Rc::clone(&shared), listener));
        let answering = spawn_local(handle::serve(Rc::clone(&shared), inbox));
        Ok((Forwarder { shared, accepting, answering, socket }, opened))
    }

    /// Ends every client, resets the sessions, and gives back those that are as new.
    pub(crate) async fn close(self) -> Left {
        for task in [self.accepting, self.answering] {
            task.abort();
            let _ = task.await;
        }
        drop(self.socket);
        let shared = self.shared;
        shared.wait_for_leavers().await;
        shared.closing.send_replace(true);
        let tasks = shared.tasks.take();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(LEAVE, all).await;
        Left {
            sessions: shared.ready.take(),
            ended: shared.ended.take(),
            stragglers: shared.stragglers.take(),
            record: shared.log.take(),
            words: shared.words.get(),
            begun: shared.begun.take(),
        }
    }
}

async fn accept(shared: Rc<Shared>, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let task = spawn_local(client::serve(Rc::clone(&shared), stream));
        let mut tasks = shared.tasks.borrow_mut();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}

impl Shared {
    /// What the sessions are at, once all that the clients have sent is read.
    async fn activity(&self) -> Activity {
        // A task that yields runs again after the sockets have been polled; then the pumps have had their run.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        Activity { busy: self.live.borrow().iter().any(|live| live.is_busy()), count: self.taken.get() }
    }

    /// The body has returned: gives the sessions that are in a transaction.
    async fn open_transactions(&self) -> Vec<Straggler> {
        self.over.set(true);
        self.activity().await;
        let live = self.live.borrow();
        live.iter().filter(|live| live.in_transaction()).map(|live| self.straggler(live, false)).collect()
    }

    /// Lets clients that have closed their end be seen to have gone.
    async fn wait_for_leavers(&self) {
        let is_empty = || self.live.borrow().is_empty();
        // That takes one poll of its task; an answer under way needs another moment.
        for _ in 0..8 {
            if is_empty() {
                return;
            }
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            if is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn straggler(&self, live: &Live, connected: bool) -> Straggler {
        Straggler {
            session: Some(live.id.get()),
            sql: self.log.last_statement(live.id.get()),
            in_transaction: live.in_transaction(),
            connected,
        }
    }
}

//! The sandbox: many virtual sessions over one backend, inside one transaction that is always rolled back.
//!
//! It takes a backend and a source of sessions, and does not know which process it lives in. The parts can be read
//! apart:
//!
//! | part | what it does |
//! |---|---|
//! | `frame` | cuts frames from a stream, and writes them |
//! | `sql` | tells what in a client's text is control |
//! | `control` | the rules: what a control statement becomes |
//! | `script` | the rules applied to a string of several statements |
//! | `session` | what becomes of a client's message |
//! | `expect`, `answers` | what becomes of the backend's answer |
//! | `turn` | who may use the backend |
//! | `backend`, `conversation`, `startup` | the bytes in and out |
//!
//! Rollback does not undo everything: sequences, session-level advisory locks and prepared statements survive it, and
//! are put right by whoever takes the backend back.

mod answers;
mod backend;
mod control;
mod conversation;
mod expect;
mod frame;
mod script;
mod session;
mod settings;
mod signals;
mod sql;
mod startup;
mod turn;

pub(crate) use answers::Lost;
pub(crate) use backend::Backend;
pub(crate) use control::{Constraints, SAVEPOINT};
pub(crate) use conversation::Transport;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::task::{JoinHandle, spawn_local};

use conversation::{Client, End, converse};
use frame::{Piece, Report};
use session::Session;
use signals::{Signal, Signals};
use startup::Request;
use turn::{PATIENCE, Turns};

/// How long sessions may take to leave when the test is over; a session that still runs something is cancelled first.
const LEAVE: Duration = Duration::from_secs(5);

/// Where the statements of a script stand, as the server cuts it.
pub(crate) fn split(sql: &[u8]) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> {
    sql::split(sql, true).into_iter().map(|statement| statement.range)
}

/// One test's sandbox. Lives on the thread of its backend.
#[derive(Debug)]
pub(crate) struct Sandbox {
    shared: Rc<Shared>,
    accepting: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    turns: Turns,
    reported: Vec<(String, String)>,
    database: String,
    constraints: Rc<RefCell<Constraints>>,
    signals: Signals,
    last_id: Cell<u32>,
    secret: i32,
    sessions: RefCell<Vec<JoinHandle<()>>>,
    lost: RefCell<Option<Lost>>,
}

/// What a sandbox is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Activity {
    /// The backend works on a message of a client.
    pub(crate) busy: bool,
    /// How many messages have been taken from clients.
    pub(crate) count: u64,
}

/// What is left of a sandbox.
#[derive(Debug)]
pub(crate) struct Remains {
    /// The backend between two batches, its transaction open; `None`: it could not be brought back there.
    pub(crate) backend: Option<Backend>,
    /// Why ptest can no longer vouch for the transaction.
    pub(crate) lost: Option<Lost>,
    /// Sessions that had to be ended because their clients would not.
    pub(crate) leaked: usize,
}

impl Sandbox {
    /// Opens a sandbox on a backend whose transaction is open and whose savepoint stands.
    pub(crate) fn open(backend: Backend, database: &str, constraints: Constraints, secret: i32) -> Sandbox {
        let reported = settings::shown(&backend.parameters);
        let shared = Shared {
            turns: Turns::new(backend),
            reported,
            database: database.to_owned(),
            constraints: Rc::new(RefCell::new(constraints)),
            signals: Signals::default(),
            last_id: Cell::new(0),
            secret,
            sessions: RefCell::new(Vec::new()),
            lost: RefCell::new(None),
        };
        Sandbox { shared: Rc::new(shared), accepting: Vec::new() }
    }

    /// Serves the clients that connect to a socket.
    pub(crate) fn listen(&mut self, listener: UnixListener) {
        let shared = Rc::clone(&self.shared);
        self.accepting.push(spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.attach(Box::new(stream));
            }
        }));
    }

    /// Serves one client.
    pub(crate) fn attach(&self, stream: Box<dyn Transport>) {
        self.shared.attach(stream);
    }

    /// What the sandbox is at, once it has read all that its clients have sent.
    pub(crate) async fn activity(&self) -> Activity {
        // A task that yields runs again after the sockets have been polled; then the sessions have had their run.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        Activity { busy: self.shared.turns.is_busy(), count: self.shared.turns.taken() }
    }

    /// Ends every session at once; the sandbox is still to be closed.
    pub(crate) fn interrupt(&self) {
        self.shared.signals.close();
    }

    /// Ends every session, and gives the backend back.
    pub(crate) async fn close(self) -> Remains {
        for task in self.accepting {
            task.abort();
            let _ = task.await;
        }
        let sessions = self.shared.sessions.take();
        let leaked = leave(sessions, &self.shared).await;
        let lost = self.shared.lost.take();
        let backend = match Rc::try_unwrap(self.shared) {
            Ok(shared) => Some(shared.turns.into_backend()),
            Err(_) => None,
        };
        Remains { backend, lost, leaked }
    }
}

/// Waits for sessions whose clients are gone, then ends the others; returns how many there were.
async fn leave(sessions: Vec<JoinHandle<()>>, shared: &Shared) -> usize {
    // A client that has closed its end is found out by one poll of its session's task.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    let leaked = sessions.iter().filter(|task| !task.is_finished()).count();
    shared.signals.close();
    let all = async {
        for task in sessions {
            let _ = task.await;
        }
    };
    let _ = tokio::time::timeout(LEAVE, all).await;
    leaked
}

impl Shared {
    fn attach(self: &Rc<Self>, stream: Box<dyn Transport>) {
        let shared = Rc::clone(self);
        let task = spawn_local(async move { shared.serve(Client::new(stream)).await });
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|task| !task.is_finished());
        sessions.push(task);
    }

    async fn serve(&self, mut client: Client) {
        let request = tokio::select! {
            request = startup::receive(&mut client) => request,
            () = self.signals.closed() => return,
        };
        match request {
            Request::Session { parameters } => self.session(&mut client, &parameters).await,
            Request::Cancel { session, secret } => self.cancel(session, secret),
            Request::Nothing => {}
        }
        client.flush().await;
    }

    async fn session(&self, client: &mut Client, parameters: &[(String, String)]) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let asked = parameters.iter().find(|(name, _)| name == "database").map(|(_, value)| value.as_str());
        if let Some(other) = asked.filter(|name| *name != self.database) {
            return Report {
                detail: Some(format!("This socket belongs to the test that holds database \"{}\".", self.database)),
                ..Report::fatal("3D000", format!("database \"{other}\" does not exist"))
            }
            .put(&mut client.out);
        }
        startup::put_welcome(&self.reported, id as i32, self.secret ^ id as i32, &mut client.out);
        client.flush().await;
        let mut session = Session::new(id, Rc::clone(&self.constraints));
        match self.talk(&mut session, client).await {
            Ok(()) | Err(End::Disconnected) => {}
            Err(End::Malformed(what)) => Report::fatal("08P01", what).put(&mut client.out),
            Err(End::Closed) => {
                let what = "terminating connection because the test that it belongs to is over";
                Report::fatal("57P01", what).put(&mut client.out);
            }
            Err(End::Lost(lost)) => {
                lost.report().put(&mut client.out);
                self.give_up(&lost);
            }
        }
    }

    /// A session's life: at rest it needs no backend; for anything else it takes the turn.
    async fn talk(&self, session: &mut Session, client: &mut Client) -> Result<(), End> {
        loop {
            // What has been read is looked at in place: it may need no backend.
            while let Some(piece) = client.input.next().map_err(|e| End::Malformed(e.to_string()))? {
                let alone = match &piece {
                    Piece::Frame(frame) => session.answer_alone(frame, &mut client.out),
                    Piece::Data { .. } => true,
                    Piece::Head(_) => false,
                };
                if session.ended {
                    return Ok(());
                }
                if !alone {
                    self.take_turn(session, client, piece).await?;
                }
            }
            client.flush().await;
            tokio::select! {
                biased;
                () = self.signals.closed() => {
                    // A message that came just before the end still counts as the client's.
                    return if client.finished { Ok(()) } else { Err(End::Closed) };
                }
                more = client.read() => if !more { return Ok(()) },
            }
        }
    }

    async fn take_turn(&self, session: &mut Session, client: &mut Client, first: Piece) -> Result<(), End> {
        client.flush().await;
        self.signals.forget(session.id);
        let turn = tokio::select! {
            biased;
            turn = self.turns.take(session.id, PATIENCE) => turn,
            signal = self.signals.wait(session.id) => match signal {
                Signal::Closed => return Err(End::Closed),
                Signal::Cancelled => Err(Report::error("57014", "canceling statement due to user request")),
            },
        };
        let mut backend = match turn {
            Ok(backend) => backend,
            Err(report) => return self.refuse(session, client, &first, &report).await,
        };
        if let Some(lost) = self.lost.borrow().clone() {
            return Err(End::Lost(lost));
        }
        let backend = &mut *backend;
        session.client(&first, client.input.missing(), &mut backend.link).map_err(|e| End::Malformed(e.0))?;
        session.put_local(&mut backend.link, &mut client.out);
        let result = converse(session, client, backend, &self.turns, &self.signals).await;
        if let Err(End::Disconnected | End::Closed | End::Malformed(_)) = &result {
            if matches!(result, Err(End::Closed)) && backend.link.owes_client() {
                let _ = backend.cancel().await;
            }
            backend.abandon(session).await.map_err(End::Lost)?;
        }
        result
    }

    /// Answers a message that got no turn; a batch is answered at its Sync.
    async fn refuse(&self, session: &Session, client: &mut Client, first: &Piece, report: &Report) -> Result<(), End> {
        report.put(&mut client.out);
        let mut waiting = !matches!(first, Piece::Frame(f) if f.tag() == b'Q' || f.tag() == b'F');
        while waiting {
            match client.input.next().map_err(|e| End::Malformed(e.to_string()))? {
                Some(Piece::Frame(f)) => waiting = f.tag() != b'S',
                Some(_) => {}
                None => {
                    client.flush().await;
                    if !client.read().await {
                        return Err(End::Disconnected);
                    }
                }
            }
        }
        frame::put_ready(&mut client.out, session.block.status());
        Ok(())
    }

    /// Passes a cancel request on to the session that it names.
    fn cancel(&self, session: i32, secret: i32) {
        if secret == self.secret ^ session
            && let Ok(session) = u32::try_from(session)
        {
            self.signals.cancel(session);
        }
    }

    fn give_up(&self, lost: &Lost) {
        self.lost.borrow_mut().get_or_insert(lost.clone());
    }
}

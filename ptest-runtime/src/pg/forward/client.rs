//! A client from its start-up to its end, and what becomes of its session then.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::pump::{Client, End, Pump};
use super::startup::{self, Request};
use super::traffic::Traffic;
use super::words::Words;
use super::{Session, Shared, Startup};
use crate::pg::sandbox::frame::Report;
use crate::pg::server::{BackendKey, Refusal, Stream};
use crate::spec::Level;

/// What others may know of a client.
#[derive(Debug)]
pub(super) struct Live {
    /// The number of its session; 0: it has none yet.
    pub(super) id: Cell<u32>,
    traffic: RefCell<Traffic>,
    key: Cell<Option<BackendKey>>,
    startup: RefCell<Option<Startup>>,
}

impl Live {
    pub(super) fn sent(&self, tag: u8) {
        self.traffic.borrow_mut().sent(tag);
    }

    pub(super) fn answered(&self, tag: u8, body: &[u8]) {
        if let (b'K', [process @ .., _, _, _, _]) = (tag, body)
            && let Ok(process) = process.try_into()
        {
            self.key.set(Some(BackendKey { process: i32::from_be_bytes(process), secret: 0 }));
        }
        self.traffic.borrow_mut().answered(tag, body);
    }

    pub(super) fn lose(&self) {
        self.traffic.borrow_mut().lose();
    }

    pub(super) fn is_lost(&self) -> bool {
        self.traffic.borrow().is_lost()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.traffic.borrow().is_busy()
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.traffic.borrow().in_transaction()
    }
}

/// Serves a client to its end.
pub(super) async fn serve(shared: Rc<Shared>, stream: UnixStream) {
    let mut client = Client::new(stream);
    let live = shared.enter();
    let mut closing = shared.closing.subscribe();
    let request = {
        let mut over = pin!(closing.wait_for(|closing| *closing));
        let mut request = pin!(startup::receive(&mut client.stream, &mut client.input.buffer));
        poll_fn(|cx| match over.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(Ok(Request::Nothing)),
            Poll::Pending => request.as_mut().poll(cx),
        })
        .await
    };
    match request {
        Ok(Request::Session(packet)) => {
            // Until the server has let it in.
            live.sent(b'S');
            shared.taken.set(shared.taken.get() + 1);
            match Startup::read(&packet, &shared.server.user, &shared.database) {
                Some(startup) => shared.own(client, &live, startup).await,
                None => shared.stranger(client, &live, &packet).await,
            }
        }
        Ok(Request::Cancel(packet)) => {
            shared.leave(&live);
            let _ = shared.cancel(&packet).await;
        }
        Ok(Request::Nothing) | Err(_) => {}
    }
    shared.leave(&live);
}

impl Shared {
    fn enter(&self) -> Rc<Live> {
        let live = Rc::new(Live {
            id: Cell::new(0),
            traffic: RefCell::default(),
            key: Cell::new(None),
            startup: RefCell::default(),
        });
        self.live.borrow_mut().push(Rc::clone(&live));
        live
    }

    /// The client has gone; its session may still be reset.
    fn leave(&self, live: &Rc<Live>) {
        self.live.borrow_mut().retain(|other| !Rc::ptr_eq(live, other));
    }

    /// Gives the next number to a client that becomes a session.
    fn begin(&self, client: &mut Client, live: &Live) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        live.id.set(id);
        client.tap.begin(&self.log, id);
    }

    /// Notes what the sessions of now were begun with, if they are more than ever before.
    fn note_begun(&self, live: &Live, startup: &Startup) {
        *live.startup.borrow_mut() = Some(startup.clone());
        let now: Vec<Startup> = self.live.borrow().iter().filter_map(|live| live.startup.borrow().clone()).collect();
        if now.len() > self.begun.borrow().len() {
            *self.begun.borrow_mut() = now;
        }
    }

    /// Serves a client of ptest's own user in the test's database.
    async fn own(&self, mut client: Client, live: &Rc<Live>, startup: Startup) {
        let startup = match self.level {
            Level::ReadCommitted => startup,
            level => startup.with("default_transaction_isolation", level.sql()),
        };
        self.hear(Words { lasts: false, ..Words::of(&startup.text()) });
        let mut session = match self.take(&startup).await {
            Ok(session) => session,
            Err(Refusal::Said(said)) => {
                client.out.extend_from_slice(&said);
                return client.flush_some().await;
            }
            // As from a server that is gone.
            Err(Refusal::Io(_)) => return,
        };
        self.note_begun(live, &startup);
        client.out.extend_from_slice(&session.greeting);
        live.answered(b'Z', b"I");
        let (end, words) = self.converse(&mut client, &mut session.stream, live, false).await;
        let at_rest = live.traffic.borrow().is_at_rest();
        self.leave(live);
        drop(client);
        if end != End::Closed && at_rest && self.reuses && !words.lasts && session.reset().await.is_ok() {
            self.ready.borrow_mut().push(session);
        } else if end != End::Closed {
            self.ended.borrow_mut().push(session.key);
        }
    }

    /// A session that waits for such a client, else a new one.
    async fn take(&self, startup: &Startup) -> Result<Session, Refusal> {
        let ready = {
            let mut ready = self.ready.borrow_mut();
            ready.iter().rposition(|session| session.startup == *startup).map(|at| ready.swap_remove(at))
        };
        match ready {
            Some(session) => Ok(session),
            None => Session::open(&self.server, &self.database, startup).await,
        }
    }

    /// Serves any other client: the server lets it in, or does not.
    async fn stranger(&self, mut client: Client, live: &Rc<Live>, packet: &[u8]) {
        self.hear(Words { lasts: false, ..Words::of(packet) });
        let Ok(mut server) = Stream::connect(&self.server.endpoint).await else { return };
        if server.write_all(packet).await.is_err() {
            return;
        }
        let (end, _) = self.converse(&mut client, &mut server, live, true).await;
        if end != End::Closed {
            self.ended.borrow_mut().extend(live.key.get());
        }
    }

    async fn converse(&self, client: &mut Client, server: &mut Stream, live: &Live, starting: bool) -> (End, Words) {
        self.begin(client, live);
        let mut closing = self.closing.subscribe();
        let mut pump = Pump::new(client, server, live, starting);
        let end = pump.run(&mut closing, || self.taken.set(self.taken.get() + 1)).await;
        let words = pump.words;
        self.hear(words);
        self.note_straggler(client, live, &end).await;
        if end == End::Over {
            let what = "terminating connection because the test that it belongs to is over";
            Report::fatal("57P01", what).put(&mut client.out);
            client.flush_some().await;
        }
        (end, words)
    }

    async fn note_straggler(&self, client: &mut Client, live: &Live, end: &End) {
        let connected = *end == End::Over && !client.has_left().await;
        if connected || (self.over.get() && live.is_busy()) {
            self.stragglers.borrow_mut().push(self.straggler(live, connected));
        }
    }

    fn hear(&self, words: Words) {
        self.words.set(self.words.get().and(words));
    }

    /// Passes a cancel request on, and waits until the server has taken note of it, as a client of the server does.
    async fn cancel(&self, packet: &[u8]) -> std::io::Result<()> {
        let mut server = Stream::connect(&self.server.endpoint).await?;
        server.write_all(packet).await?;
        server.read_to_end(&mut Vec::new()).await.map(drop)
    }
}

//! A session from its start-up to its end: at rest it needs no backend, for anything else it takes the turn.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use super::Shared;
use super::answers::Lost;
use super::backend::Backend;
use super::conversation::{Client, End, converse};
use super::defaults::{Defaults, Invalid};
use super::frame::{self, Piece, Report};
use super::reports;
use super::session::Session;
use super::settings::Settings;
use super::signals::Signal;
use super::startup::{self, Request};
use super::turn::{TURN, preview};
use crate::spec::Level;

/// The setting that the argument `level` gives another default.
const LEVEL: &str = "default_transaction_isolation";

impl Shared {
    /// Serves a client to its end.
    pub(super) async fn serve(&self, mut client: Client) {
        let request = match select(pin!(self.signals.closed()), pin!(startup::receive(&mut client))).await {
            Either::Left(_) => return,
            Either::Right((request, _)) => request,
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
        startup::put_accepted(&mut client.out);
        let asked = parameters.iter().find(|(name, _)| name == "database").map(|(_, value)| value.as_str());
        if let Some(other) = asked.filter(|name| *name != self.database) {
            return Report {
                detail: Some(format!("This socket belongs to the test that holds database \"{}\".", self.database)),
                ..Report::fatal("3D000", format!("database \"{other}\" does not exist"))
            }
            .put(&mut client.out);
        }
        let mut session = match self.new_session(id, parameters) {
            Ok(session) => session,
            Err(Invalid { message, hint }) => {
                let report = Report { hint: hint.map(str::to_owned), ..Report::fatal("22023", message) };
                return report.put(&mut client.out);
            }
        };
        client.tap.begin(&self.log, id);
        let end = match self.welcome(&mut session, client).await {
            Ok(()) => self.talk(&mut session, client).await,
            Err(end) => Err(end),
        };
        if !matches!(end, Err(End::Closed | End::Lost(_))) {
            self.wait_to_discard(&mut session).await;
        }
        match end {
            Ok(()) | Err(End::Disconnected) => {}
            Err(End::Refused(error)) => {
                reports::put_fatal(&error, session.initial.get("session_authorization"), &mut client.out)
            }
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

    /// A session with the settings that its client asks for, as far as they are not the server's anyway.
    pub(super) fn new_session(&self, id: u32, parameters: &[(String, String)]) -> Result<Session, Invalid> {
        let version = self.reported.iter().find(|(name, _)| name == "server_version");
        let major = version.and_then(|(_, text)| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        let mut defaults = Defaults::of_server(major.unwrap_or(0));
        for (name, value) in &self.reported {
            if name == "standard_conforming_strings" {
                defaults.set(name, value)?;
            }
        }
        let mut initial = Settings::default();
        if self.options.level != Level::ReadCommitted {
            defaults.set(LEVEL, self.options.level.sql())?;
            initial.set(LEVEL, self.options.level.sql());
        }
        for (name, value) in startup::asked(parameters) {
            defaults.set(&name, &value)?;
            let same = self.reported.iter().any(|(n, v)| n.eq_ignore_ascii_case(&name) && *v == value);
            // What is asked for twice is what was asked for last.
            if same {
                initial.unset(&name);
            } else if !defaults.has(&name) {
                initial.set(&name, &value);
            }
        }
        Ok(Session::new(id, Rc::clone(&self.duties), initial, defaults))
    }

    /// Accepts a client. Settings are tried at once if the backend is free, else when the session first takes the turn:
    /// a connect never waits for another session's transaction.
    async fn welcome(&self, session: &mut Session, client: &mut Client) -> Result<(), End> {
        let mut reported = self.reported.clone();
        if !session.accepted {
            for (name, value) in &mut reported {
                if let Some(asked) = session.initial.get(&name.to_ascii_lowercase()) {
                    asked.clone_into(value);
                }
            }
            if let Some(mut backend) = self.turns.try_take(session.id) {
                backend.load(session, &mut client.out).await.map_err(End::Lost)?.map_err(End::Refused)?;
                backend.flush().await.map_err(|e| End::Lost(super::backend::broken(e)))?;
                reported = backend.link.loaded.reported.clone().into_iter().collect();
            }
        }
        for (name, value) in &mut reported {
            if let Some(shown) = session.belief.show(name) {
                *value = shown;
            }
        }
        session.told = reported.iter().cloned().collect();
        startup::put_welcome(&reported, session.id as i32, self.secret ^ session.id as i32, &mut client.out);
        client.flush().await;
        Ok(())
    }

    async fn talk(&self, session: &mut Session, client: &mut Client) -> Result<(), End> {
        loop {
            // What has been read is looked at in place: it may need no backend.
            while let Some(piece) = client.next().map_err(|e| End::Malformed(e.to_string()))? {
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
            if !self.read(session, client).await? {
                return Ok(());
            }
        }
    }

    /// Reads more of a client that has no turn; `false`: it has finished.
    async fn read(&self, session: &Session, client: &mut Client) -> Result<bool, End> {
        if let Either::Right((more, _)) = select(pin!(self.signals.closed()), pin!(client.read())).await {
            return Ok(more);
        }
        if client.is_gone().await {
            return Ok(false);
        }
        self.note_straggler(session, client, false).await;
        Err(End::Closed)
    }

    async fn take_turn(&self, session: &mut Session, client: &mut Client, first: Piece) -> Result<(), End> {
        client.flush().await;
        self.signals.forget(session.id);
        let sql = preview(&first);
        client.tap.waits(&sql);
        let turn = match select(pin!(self.turns.take(session.id, &sql)), pin!(self.signals.wait(session.id))).await {
            Either::Left((turn, _)) => turn,
            Either::Right((Signal::Closed, _)) => {
                session.note(sql.as_bytes());
                self.note_straggler(session, client, true).await;
                return Err(End::Closed);
            }
            Either::Right((Signal::Cancelled, _)) => {
                Err(Report::error("57014", "canceling statement due to user request"))
            }
        };
        client.tap.waited();
        let mut turn = match turn {
            Ok(turn) => turn,
            Err(report) => {
                if report.code == TURN {
                    self.duties.borrow_mut().deviations.refused(session.id, &report.message, &sql);
                }
                return self.refuse(session, client, &first, &report).await;
            }
        };
        if let Some(lost) = self.lost.borrow().clone() {
            return Err(End::Lost(lost));
        }
        turn.load(session, &mut client.out).await.map_err(End::Lost)?.map_err(End::Refused)?;
        self.watch.take_turn(true);
        let result = self.converse(session, client, &mut turn, &first).await;
        self.watch.take_turn(false);
        let ends = match &result {
            Ok(_) => session.temporary && (session.ended || client.has_left().await),
            Err(end) => matches!(end, End::Disconnected | End::Malformed(_)),
        };
        if ends {
            self.discard_temporary(session, &mut turn).await;
        }
        result
    }

    /// Holds a conversation, and leaves the backend between two batches, however it ends.
    async fn converse(
        &self,
        session: &mut Session,
        client: &mut Client,
        backend: &mut Backend,
        first: &Piece,
    ) -> Result<(), End> {
        session.client(first, client.input.missing(), &mut backend.link).map_err(|e| End::Malformed(e.0))?;
        session.put_local(&mut backend.link, &mut client.out);
        let result = converse(session, client, backend, &self.turns, &self.signals).await;
        self.watch.take_turn(false);
        if let Err(End::Disconnected | End::Closed | End::Malformed(_)) = &result {
            if !matches!(result, Err(End::Malformed(_))) {
                self.note_straggler(session, client, backend.link.owes_client()).await;
            }
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
            match client.next().map_err(|e| End::Malformed(e.to_string()))? {
                Some(Piece::Frame(f)) => waiting = f.tag() != b'S',
                Some(_) => {}
                None => {
                    client.flush().await;
                    if !self.read(session, client).await? {
                        return Err(End::Disconnected);
                    }
                }
            }
        }
        frame::put_ready(&mut client.out, session.belief.block.status());
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

    pub(super) fn give_up(&self, lost: &Lost) {
        self.lost.borrow_mut().get_or_insert(lost.clone());
    }
}

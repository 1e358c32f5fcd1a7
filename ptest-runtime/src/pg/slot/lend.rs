//! Lending: between two tests, a slot's backend changes hands between processes, with what is known of it.
//!
//! The lease changes hands with it, for its lock belongs to the backend's session.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::acquire::Acquired;
use super::proof::Proof;
use crate::helper::{self, Fields, Key, put, put_nullable};
use crate::pg::sandbox::Backend;
use crate::pg::server::{Address, BackendKey, Connection, Endpoint, Stream};
use crate::pg::template::facts::Facts;

/// Which kind of thing is lent.
const KIND: &str = "slot";

/// A backend that was borrowed: the lease is taken, ptest's transaction is open, its savepoint set.
#[derive(Debug)]
pub(super) struct Borrowed {
    pub(super) number: u32,
    pub(super) database: String,
    descriptor: OwnedFd,
    parameters: Vec<(String, String)>,
    key: BackendKey,
    told: Option<String>,
    proof: Proof,
}

/// Borrows a slot's backend from the helper, if it has one.
pub(super) fn borrow(server: &Address, fingerprint: &str) -> Option<Borrowed> {
    let mut lent = helper::borrow(&key(server, fingerprint))?;
    let descriptor = lent.descriptors.pop()?;
    read(&mut Fields::of(&lent.description), descriptor)
}

/// Gives a backend to the helper. One that is not at rest is closed instead.
pub(super) fn give(
    server: &Address,
    fingerprint: &str,
    number: u32,
    database: &str,
    told: Option<&str>,
    proof: &Proof,
    backend: Option<Backend>,
) {
    let Some(connection) = backend.and_then(Backend::into_connection) else { return };
    let mut description = Vec::new();
    put(&mut description, &number.to_string());
    put(&mut description, database);
    put_nullable(&mut description, told);
    proof.write(&mut description);
    let key = connection.key();
    put(&mut description, &key.process.to_string());
    put(&mut description, &key.secret.to_string());
    for (name, value) in connection.parameters() {
        put(&mut description, name);
        put(&mut description, value);
    }
    let stream = connection.into_stream();
    helper::give(&self::key(server, fingerprint), &description, &[stream.as_fd()]);
}

/// Has the helper close what it keeps on a server that takes no more clients; whether it may have had something.
pub(super) fn release(server: &Address) -> bool {
    helper::release(&key(server, ""))
}

fn key(server: &Address, fingerprint: &str) -> Key {
    let mut who = Vec::new();
    match &server.endpoint {
        Endpoint::Unix { folder, port } => put(&mut who, &format!("{}:{port}", folder.display())),
        Endpoint::Tcp { host, port } => put(&mut who, &format!("{host}:{port}")),
    }
    put(&mut who, &server.user);
    put_nullable(&mut who, server.password.as_deref());
    Key::new(who, server.is_own(), KIND, fingerprint)
}

fn read(fields: &mut Fields<'_>, descriptor: OwnedFd) -> Option<Borrowed> {
    let (number, database, told) = (fields.text()?.parse().ok()?, fields.text()?, fields.nullable()?);
    let proof = Proof::of(fields)?;
    let key = BackendKey { process: fields.text()?.parse().ok()?, secret: fields.text()?.parse().ok()? };
    let mut parameters = Vec::new();
    while let Some(name) = fields.text() {
        parameters.push((name, fields.text()?));
    }
    Some(Borrowed { number, database, descriptor, parameters, key, told, proof })
}

impl Borrowed {
    /// Makes it what a lease by connecting would have made. Called within the runtime that is to serve it.
    pub(super) fn acquired(self, server: &Address, notes: &Path) -> io::Result<Acquired> {
        let stream = Stream::adopt(&server.endpoint, self.descriptor)?;
        let connection = Connection::resume(stream, self.parameters, self.key);
        let note = notes.join(&self.database);
        let facts = self.told.as_deref().and_then(Facts::read);
        let acquired = Acquired::new(connection, self.database, facts, &note, self.proof);
        Ok(Acquired { told: self.told, ..acquired })
    }
}

impl Proof {
    fn write(&self, description: &mut Vec<u8>) {
        put(description, &self.oid);
        put(description, &self.began);
        put_nullable(description, self.written.as_deref());
        put(description, &self.log.to_string());
    }

    fn of(fields: &mut Fields<'_>) -> Option<Proof> {
        Some(Proof {
            oid: fields.text()?,
            began: fields.text()?,
            accompanied: false,
            written: fields.nullable()?,
            log: fields.text()?.parse().ok()?,
        })
    }
}

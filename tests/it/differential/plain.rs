//! The side that is compared with.

use crate::wire::{self, Wire, query};

/// A database without ptest, on the server of a sandbox.
pub(crate) struct Plain {
    admin: String,
    pub(super) url: String,
    name: String,
}

impl Plain {
    /// `None`: there is no local way to the server.
    pub(crate) fn beside(sandbox: &str, number: u64) -> Option<Plain> {
        let mut wire = Wire::connect(sandbox);
        let mut ask = |sql: &str| {
            wire.send(&query(sql));
            let row = wire.until_ready().into_iter().find(|m| m.tag == b'D');
            row.map(|row| wire::values(&row.body).remove(0)).unwrap_or_default()
        };
        let (folders, port, user) = (ask("show unix_socket_directories"), ask("show port"), ask("select current_user"));
        let folder = folders
            .split(',')
            .map(str::trim)
            .find(|f| std::path::Path::new(&format!("{f}/.s.PGSQL.{port}")).exists())?;
        let at = |database: &str| format!("postgres://{user}@{}:{port}/{database}", folder.replace('/', "%2F"));
        let name = format!("plain_{}_{number}", std::process::id());
        let admin = at("postgres");
        let (mut wire, hello) = Wire::start(&admin, &[]);
        if hello.last()?.tag != b'Z' {
            return None;
        }
        wire.query(&format!("drop database if exists {name}"));
        assert_eq!(wire.query(&format!("create database {name}")), "CREATE DATABASE I");
        Some(Plain { url: at(&name), admin, name })
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            Wire::connect(&self.admin).query(&format!("drop database {} with (force)", self.name));
        }
    }
}

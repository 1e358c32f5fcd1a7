//! Housekeeping: what killed tests and old schemas left is looked for now and then, by a test that has given its database
//! back. Whether it is due tells a file in ptest's own folder.

use std::sync::Once;

use super::server::Address;
use super::{reaper, socket, template};
use crate::config::Config;
use crate::engine::kept;
use crate::spec::Isolation;
use crate::sys::is_due;

/// What may be done after a test.
#[derive(Debug)]
pub(super) struct Housekeeping {
    /// Where there may be databases to drop.
    pub(super) server: Option<Address>,
    pub(super) isolation: Isolation,
    /// The fingerprint of which killed tests have left too many databases.
    pub(super) piled_up: Option<String>,
}

impl Housekeeping {
    /// Does what is due.
    pub(super) fn run(self) {
        let Ok(config) = Config::get() else { return };
        static SWEPT: [Once; 2] = [Once::new(), Once::new()];
        SWEPT[0].call_once(|| {
            if is_due(&config.target_dir, "swept", reaper::PERIOD) {
                socket::sweep();
            }
        });
        let Some(server) = &self.server else { return };
        if let Some(fingerprint) = &self.piled_up {
            reaper::relieve(server, fingerprint);
        }
        let mut wanted = self.isolation == Isolation::Database;
        SWEPT[1].call_once(|| wanted |= kept::sweep(&config.target_dir));
        // A new template is rare, and made when an old one falls out of use.
        if template::has_built() || (wanted && is_due(&config.target_dir, "reaped", reaper::PERIOD)) {
            reaper::reap(server);
        }
    }
}

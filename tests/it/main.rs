//! What a user of ptest relies on, run against a real server.

mod basics;
mod differential;
mod sandbox_rules;
mod wire;

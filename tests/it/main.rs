//! What a user of ptest relies on, run against a real server.

mod basics;
mod sandbox_rules;
mod wire;

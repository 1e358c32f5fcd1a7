//! What a user of ptest relies on, run against real servers.
//!
//! A test that has to fail, to be killed, or to run beside others is ignored, and run by another one in a process of its
//! own: see `rerun`. The tests stand in modules named after what they are about.

mod audit;
mod bloat;
mod compiled_once;
mod composition;
mod database;
mod defaults;
mod differential;
mod ending;
mod faq;
mod fixtures;
mod helper;
mod isolation;
mod kept;
mod lease;
mod migrators;
mod named;
mod outcomes;
mod package;
mod parameters;
mod processes;
mod proof;
mod report;
mod rerun;
mod runtime;
mod sandbox_commits;
mod sandbox_faults;
mod sandbox_modes;
mod sandbox_rules;
mod scratch_server;
mod seeds;
mod sequences;
mod sessions;
mod setups;
mod target;
mod templates;
mod temporary_tables;
mod tidy;
mod wire;

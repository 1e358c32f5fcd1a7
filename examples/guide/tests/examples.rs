//! Every Rust block of the documentation, as a reader would paste it.

#![allow(dead_code, unused_variables, clippy::all, reason = "examples declare what they do not use")]

include!(concat!(env!("OUT_DIR"), "/examples.rs"));

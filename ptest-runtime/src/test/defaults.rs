//! A test as its attribute and its package describe it: what the attribute leaves out, `Cargo.toml` may say.

use crate::config;
use crate::spec::{Migrations, SchemaSpec, TestSpec};

/// The test with the defaults of its package.
pub(crate) fn applied(test: &'static TestSpec) -> crate::Result<&'static TestSpec> {
    let Some(defaults) = config::defaults(test.schema.manifest_dir)? else { return Ok(test) };
    let said = test.said;
    let schema = match test.schema {
        SchemaSpec { migrations: Migrations::Default, seed, .. } => {
            let seed = if seed.is_empty() { defaults.seed.unwrap_or_default() } else { seed };
            SchemaSpec { migrations: defaults.migrations.unwrap_or(Migrations::Default), seed, ..test.schema }
        }
        // A seed is written for migrations, and these are others.
        schema => schema,
    };
    // A paused clock needs a sandbox that holds it back.
    let isolation = match defaults.isolation {
        Some(isolation) if !said.isolation && test.start_paused.is_none() => isolation,
        _ => test.isolation,
    };
    let turn_timeout = match defaults.turn_timeout {
        Some(turn_timeout) if !said.turn_timeout => turn_timeout,
        _ => test.turn_timeout,
    };
    // As long as the process, like the one of the attribute.
    Ok(Box::leak(Box::new(TestSpec {
        schema,
        isolation,
        turn_timeout,
        timeout: test.timeout.or(defaults.timeout),
        audit_of_crate: defaults.audit,
        ..*test
    })))
}

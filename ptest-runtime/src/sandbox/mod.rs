//! The multiplexer that gives a test many sessions over one backend and one transaction.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the sessions that read SQL are still to come"))]
mod sql;

//! The server that a test's databases live on.

pub(crate) mod own;

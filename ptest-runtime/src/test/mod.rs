//! The life of a test: its databases are opened, its body runs, all is given back. Read [`run`] first.

pub(crate) mod context;
pub(crate) mod deadline;
pub(crate) mod kept;
pub(crate) mod migrator;
pub(crate) mod param;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod setup;

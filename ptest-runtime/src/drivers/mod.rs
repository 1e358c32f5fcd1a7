//! The driver types that a test can ask for: the only folder that names them.

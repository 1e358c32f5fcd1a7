//! The examples of the guide and of the reference. They stand in `tests/examples.rs`, made by `build.rs`.

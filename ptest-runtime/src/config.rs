//! The environment: the only reader of it.

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("`{name}` is not a valid value for {variable}")]
    Value { variable: &'static str, name: String },
}

impl ConfigError {
    pub(crate) fn help(&self) -> Option<String> {
        None
    }
}

/// The slot to try first: nextest numbers the tests that run at the same time.
#[cfg(feature = "sqlx-sqlite")]
pub(crate) fn slot_hint() -> u32 {
    std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok()).unwrap_or(0)
}

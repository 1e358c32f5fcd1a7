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
pub(crate) struct Config {
    pub(crate) slot_hint: u32,
    pub(crate) url: String,
}
impl Config {
    pub(crate) fn get() -> crate::Result<&'static Config> {
        Ok(Box::leak(Box::new(Config {
            slot_hint: std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|s| s.parse().ok()).unwrap_or(0),
            url: std::env::var("PTEST_DATABASE_URL").unwrap(),
        })))
    }
}

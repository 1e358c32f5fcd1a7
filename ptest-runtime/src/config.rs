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

//! The server that variables name: the first of them that is set, in the environment or in `.env`, decides.

use std::ffi::OsString;
use std::path::Path;

use super::dotenv::DotEnv;
use super::{ConfigError, Origin, PTEST_URL, RedactedUrl, ServerChoice, url};

/// The server that the first of these variables names; ptest's own where none does.
pub(super) fn named(
    vars: &dyn Fn(&str) -> Option<OsString>,
    cwd: &Path,
    variables: &[&'static str],
) -> Result<ServerChoice, ConfigError> {
    let mut file = None;
    for &variable in variables {
        let (value, origin) = match vars(variable) {
            Some(value) => {
                let value = value.into_string().map_err(|_| ConfigError::NotUnicode { variable })?;
                (value, Origin { variable, file: None })
            }
            None => {
                if file.is_none() {
                    let wanted: Vec<_> = variables.iter().copied().filter(|name| vars(name).is_none()).collect();
                    file = Some(DotEnv::read(cwd, &wanted)?);
                }
                let Some((value, path)) = file.as_ref().and_then(|file| file.get(variable)) else { continue };
                (value.to_owned(), Origin { variable, file: Some(path.to_owned()) })
            }
        };
        if value.is_empty() {
            continue;
        }
        if variable == PTEST_URL && value == "own" {
            return Ok(ServerChoice::Own);
        }
        if url::is_postgres(&value) {
            return match url::check(&value) {
                Ok(()) => Ok(ServerChoice::Url { url: value, origin }),
                Err(source) => Err(ConfigError::Url { url: RedactedUrl(&value).to_string(), origin, source }),
            };
        }
        if variable == PTEST_URL {
            return Err(ConfigError::Scheme { url: RedactedUrl(&value).to_string(), origin });
        }
    }
    Ok(ServerChoice::Own)
}

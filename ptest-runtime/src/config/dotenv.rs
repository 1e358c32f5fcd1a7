//! The nearest `.env` file, read as sqlx reads it but for the process's variables, which stay as they are.

use std::path::{Path, PathBuf};

use super::ConfigError;

/// The variables of one `.env` file; none where there is no file.
pub(super) struct DotEnv {
    path: PathBuf,
    variables: Vec<(String, String)>,
}

impl DotEnv {
    /// Reads the nearest `.env` from `cwd` upwards.
    ///
    /// dotenvy stops at a line that it does not understand, and sqlx goes on with what came before. So does this,
    /// unless that would lose one of the variables that are `wanted`.
    pub(super) fn read(cwd: &Path, wanted: &[&str]) -> Result<DotEnv, ConfigError> {
        let Some(path) = cwd.ancestors().map(|dir| dir.join(".env")).find(|path| path.is_file()) else {
            return Ok(DotEnv { path: PathBuf::new(), variables: Vec::new() });
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ConfigError::DotEnv { path, source }),
        };
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));

        let mut file = DotEnv { path, variables: Vec::new() };
        for variable in dotenvy::from_read_iter(text.as_bytes()) {
            match variable {
                Ok(variable) => file.variables.push(variable),
                Err(error) => {
                    let start = match &error {
                        dotenvy::Error::LineParse(line, _) => text.find(line.as_str()).unwrap_or(0),
                        _ => 0,
                    };
                    let lost = |name: &&str| file.get(name).is_none() && defines(&text[start..], name);
                    if wanted.iter().any(lost) {
                        let line = text[..start].matches('\n').count() + 1;
                        return Err(ConfigError::DotEnvLine { path: file.path, line });
                    }
                    break;
                }
            }
        }
        Ok(file)
    }

    /// The first value of a variable, with the file's path.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &Path)> {
        let (_, value) = self.variables.iter().find(|(key, _)| key == name)?;
        Some((value, &self.path))
    }
}

fn defines(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export").map_or(line, str::trim_start);
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

//! The workspace that the command is run in.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Has ptest work for the crate of a manifest, or the one around the current folder. Gives the crate's folder.
pub(crate) fn enter(manifest_path: Option<&Path>) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let target = &metadata(manifest_path)?["target_directory"];
    ptest::__tool::work_in(Path::new(target.as_str().ok_or("`cargo metadata` names no target folder")?));
    let mut locate = cargo("locate-project", manifest_path);
    let output = locate.args(["--message-format", "plain"]).output()?;
    let manifest = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    Ok(manifest.parent().ok_or("`cargo locate-project` names no folder")?.to_owned())
}

fn metadata(manifest_path: Option<&Path>) -> Result<Value, Box<dyn std::error::Error>> {
    let output = cargo("metadata", manifest_path).args(["--no-deps", "--format-version", "1"]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn cargo(command: &str, manifest_path: Option<&Path>) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command);
    if let Some(path) = manifest_path {
        cargo.arg("--manifest-path").arg(path);
    }
    cargo
}

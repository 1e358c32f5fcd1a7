//! ptest's own folder: `target/ptest` of the workspace whose test runs.

use std::path::{Path, PathBuf};

use crate::sys;

/// Finds the folder from the running executable, so that all test processes of a workspace find the same one.
///
/// It is the nearest folder above that Cargo marked as a target folder; else the one that has the executable in
/// `<profile>/deps/`, as in an archive of nextest; else the nearest `target` beside or above the package; else one of this
/// user's among the temporary files, where others could have made it.
pub(super) fn dir(exe: &Path, manifest_dir: Option<&Path>, temp_dir: &Path) -> PathBuf {
    let target = marked(exe)
        .or_else(|| above_deps(exe))
        .map(Path::to_owned)
        .or_else(|| manifest_dir?.ancestors().map(|dir| dir.join("target")).find(|dir| dir.is_dir()));
    match target {
        Some(target) => target.join("ptest"),
        None => {
            let name = format!("ptest-{}", sys::user());
            // Where nothing can be made, whoever needs the folder says so.
            sys::private_folder(temp_dir, &name).unwrap_or_else(|_| temp_dir.join(name))
        }
    }
}

fn marked(exe: &Path) -> Option<&Path> {
    // The tag comes second: Cargo puts it into `target/<triple>` too, and all targets share one server.
    [".rustc_info.json", "CACHEDIR.TAG"]
        .iter()
        .find_map(|mark| exe.ancestors().skip(1).find(|dir| dir.join(mark).is_file()))
}

fn above_deps(exe: &Path) -> Option<&Path> {
    exe.ancestors().skip(1).find(|dir| dir.ends_with("deps"))?.parent()?.parent()
}

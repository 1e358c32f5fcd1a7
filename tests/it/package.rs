//! A package made at run time: what stands beside the `Cargo.toml` of a test that is run again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// A folder that goes with it.
pub(crate) struct Package(TempDir);

impl Package {
    /// A package with these files, each a path and a text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Package {
        let folder = tempfile::tempdir().unwrap();
        // The user of a server that ptest starts passes through it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let package = Package(folder);
        for (path, text) in files {
            package.write(path, text);
        }
        package
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

//! The cache of fingerprints: a file per migrations folder, with what the file system said of the folder when its
//! fingerprint was made.
//!
//! A fingerprint is taken from the cache only if the file system says the same again, byte for byte: the names, and the
//! type, inode, size and times of each file. It is put there only if nothing changed while the files were read, nor in
//! the two seconds before: file systems keep time in steps, and one more change in the same step would not show (git
//! calls such entries racily clean). Writing is best effort: without a cache, the files are read.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::fingerprint::{Fingerprint, LAYOUT_VERSION, LENGTH};
use super::migrations::Folder;

/// Another version of ptest may read a folder in another way.
const HEADER: &[u8] = concat!("ptest ", env!("CARGO_PKG_VERSION"), " fingerprint\n").as_bytes();

/// The coarsest step of a file system's clock, in seconds.
const STEP: i64 = 2;

/// Takes the fingerprint of a folder from the cache, or computes it and puts it there. `now` is not later than the call.
pub(super) fn fetch<E>(
    folder: &Folder,
    cache: &Path,
    now: SystemTime,
    compute: impl FnOnce() -> Result<Fingerprint, E>,
) -> Result<Fingerprint, E> {
    let Ok(listing) = Listing::of(folder, Detail::Files) else { return compute() };
    let file = cache.join(file_name(&folder.path));
    if let Some(fingerprint) = load(&file, &listing.bytes) {
        return Ok(fingerprint);
    }
    let before = Listing::of(folder, Detail::Folders);
    let fingerprint = compute()?;
    let unchanged =
        |before: &Listing| Listing::of(folder, Detail::Folders).is_ok_and(|after| after.bytes == before.bytes);
    if before.is_ok_and(|before| before.is_settled(now) && unchanged(&before)) {
        let _ = store(&file, &listing.bytes, &fingerprint);
    }
    Ok(fingerprint)
}

/// What the file system says of a folder, in a form that is only ever compared.
///
/// An unoptimised build makes it in every test process, so it is made in the order of the file system, without a path
/// per file, and without formatting.
struct Listing {
    bytes: Vec<u8>,
    detail: Detail,
    /// When the newest of it was changed, in seconds.
    newest: i64,
}

/// How much a listing says of inner folders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The files in them that a migration is made of.
    Files,
    /// Their times too, which tell what came and went again.
    Folders,
}

impl Listing {
    fn of(folder: &Folder, detail: Detail) -> io::Result<Listing> {
        let dir = &folder.path;
        let mut listing = Listing { bytes: Vec::with_capacity(16 * 1024), detail, newest: i64::MIN };
        listing.bytes.extend_from_slice(HEADER);
        listing.bytes.extend_from_slice(&LAYOUT_VERSION.to_le_bytes());
        listing.name(dir.as_os_str().as_encoded_bytes());
        listing.name(folder.tool.as_deref().unwrap_or_default().as_bytes());
        let metadata = fs::metadata(dir)?;
        listing.stat(&metadata);
        if metadata.is_file() {
            return Ok(listing);
        }
        for entry in fs::read_dir(dir)? {
            listing.entry(&entry?)?;
        }
        Ok(listing)
    }

    fn entry(&mut self, entry: &DirEntry) -> io::Result<()> {
        self.name(entry.file_name().as_encoded_bytes());
        // Comes with the entry, as its metadata does not.
        let kind = entry.file_type()?;
        let mut is_folder = kind.is_dir();
        if !is_folder {
            self.stat(&entry.metadata()?);
        }
        if kind.is_symlink() {
            is_folder = self.target(&entry.path())?.is_some_and(|target| target.is_dir());
        }
        if is_folder {
            self.folder(entry.path())?;
        }
        Ok(())
    }

    /// Adds what is read of an inner folder: the files of a migration of diesel or Prisma, or whether there is anything new.
    fn folder(&mut self, mut path: PathBuf) -> io::Result<()> {
        if self.detail == Detail::Folders {
            self.target(&path)?;
        }
        path.push("up.sql");
        let up = self.target(&path)?;
        let other = if up.is_some() { "metadata.toml" } else { "migration.sql" };
        path.set_file_name(other);
        if self.target(&path)?.is_none() && up.is_none() {
            path.pop();
            self.target(&path)?;
        }
        Ok(())
    }

    /// Adds what a path leads to, if anything.
    fn target(&mut self, path: &Path) -> io::Result<Option<Metadata>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.bytes.push(u8::from(metadata.is_some()));
        if let Some(metadata) = &metadata {
            self.stat(metadata);
        }
        Ok(metadata)
    }

    fn name(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
    }

    fn stat(&mut self, metadata: &Metadata) {
        let (mtime, ctime) = (metadata.mtime(), metadata.ctime());
        self.newest = self.newest.max(mtime).max(ctime);
        self.bytes.extend_from_slice(&metadata.mode().to_ne_bytes());
        self.bytes.extend_from_slice(&metadata.dev().to_ne_bytes());
        self.bytes.extend_from_slice(&metadata.ino().to_ne_bytes());
        self.bytes.extend_from_slice(&metadata.size().to_ne_bytes());
        self.bytes.extend_from_slice(&mtime.to_ne_bytes());
        self.bytes.extend_from_slice(&metadata.mtime_nsec().to_ne_bytes());
        self.bytes.extend_from_slice(&ctime.to_ne_bytes());
        self.bytes.extend_from_slice(&metadata.ctime_nsec().to_ne_bytes());
    }

    /// Whether another change to anything listed would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
        self.newest < now - STEP
    }
}

/// The fingerprint that was stored with the same listing. It stands on both sides of it, so that a damaged file shows.
fn load(file: &Path, listing: &[u8]) -> Option<Fingerprint> {
    let bytes = fs::read(file).ok()?;
    let (first, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (stored, last) = rest.split_last_chunk::<LENGTH>()?;
    if stored != listing || first != last {
        return None;
    }
    Fingerprint::parse(first)
}

/// Replaces the file as a whole, so that no other process reads half of it.
fn store(file: &Path, listing: &[u8], fingerprint: &Fingerprint) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let own = file.with_extension(format!("{}-{count}", std::process::id()));
    let bytes = [fingerprint.as_str().as_bytes(), listing, fingerprint.as_str().as_bytes()].concat();
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    let written = fs::write(&own, bytes).and_then(|()| fs::rename(&own, file));
    if written.is_err() {
        let _ = fs::remove_file(&own);
    }
    written
}

/// A name for the folder's file. Two folders with one name replace each other's file, no more: the path is in it.
fn file_name(dir: &Path) -> PathBuf {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in dir.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}").into()
}

#[cfg(test)]
mod tests;

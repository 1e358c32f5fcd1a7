//! The argument `setup`, as the macro writes it.

use std::any::Any;
use std::fmt;

use crate::error::Cause;
use crate::sys::BoxFuture;

/// The function, as the attribute names it.
pub struct Setup {
    /// The path as the attribute spells it, for error messages.
    pub path: &'static str,
    /// Name and version of the package that the test is in.
    pub package: &'static str,
    /// What the user says of the function's content.
    pub version: &'static str,
    /// The full path of the function.
    pub name: fn() -> &'static str,
    /// Calls it with the context of a test, whose database is the template under construction.
    pub run: for<'c> fn(&'c mut (dyn Any + 'static)) -> BoxFuture<'c, Result<(), Cause>>,
}

impl Setup {
    /// What the template's fingerprint knows of the function, whose code nobody can see.
    pub(crate) fn parts(&self) -> [&'static [u8]; 4] {
        [b"setup", (self.name)().as_bytes(), self.package.as_bytes(), self.version.as_bytes()]
    }

    pub(crate) fn is_same(&self, other: &Setup) -> bool {
        self.parts() == other.parts()
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

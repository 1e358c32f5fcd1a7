//! What the system gives: runtimes, locks, time and chance. Nothing here knows a database.

mod apart;
mod future;
mod private;
mod progress;
mod random;
mod stamp;

pub(crate) use apart::apart;
pub(crate) use future::{BoxFuture, end_runtime, panic_message};
pub(crate) use private::{is_private, new_folder, private_folder, user};
pub(crate) use progress::progress;
pub(crate) use random::random;
pub(crate) use stamp::is_due;

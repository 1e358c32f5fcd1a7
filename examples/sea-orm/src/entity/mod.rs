//! What the library has: books, and their loans.

pub mod book;
pub mod loan;

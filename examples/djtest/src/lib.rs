//! A small admin site: superusers, a login form, a session cookie, on PostgreSQL or SQLite.
//!
//! `main.rs` serves it; [`router::app`] is the site, [`db::Db`] what it runs on. The schema and the password hashes are
//! those of Django 1.5, which the project that ptest grew from tested.

mod admin;
pub mod auth;
pub mod db;
mod page;
mod password;
pub mod router;
pub mod session;
pub mod users;

//! One scenario for every client: an order that goes through, one that the stock does not allow, one that names no article.

mod bb8;
mod blocking;
mod commands;
mod diesel;
mod python;

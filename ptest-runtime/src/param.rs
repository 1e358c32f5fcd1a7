//! The parameters that need no driver: the database's name and its address.

//! A test per parameter type of the drivers that `tests/it` leaves out for their build time.

//! The classifier of statements.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ptest_runtime::__fuzz::statements(data));

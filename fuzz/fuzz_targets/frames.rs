//! The frame parser, fed in portions: the first byte says how large they are.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((portion, stream)) = data.split_first() {
        ptest_runtime::__fuzz::frames(stream, *portion);
    }
});

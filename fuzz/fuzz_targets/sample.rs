#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvlens_fuzz::sessions::read_sample(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| kvlens_fuzz::read_spec(text));

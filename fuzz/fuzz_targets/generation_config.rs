#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kvlens_fuzz::readers::models::read_generation_config(bytes);
});

#![no_main]

use kvlens_datasets::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvlens_fuzz::read(Some(Format::Plain), "jsonl", bytes));

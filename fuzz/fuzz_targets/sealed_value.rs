#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| flask_caching_engine::fuzzing::sealed_value(input));

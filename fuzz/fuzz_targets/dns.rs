//! What clients ask a name server, and what is said upstream: answered within bounds, or left alone.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| resolver::fuzzing::packets(bytes));

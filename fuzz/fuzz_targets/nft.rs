//! What the kernel says of tables and connections, and what `nft` prints.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| net::fuzzing::replies(bytes));

//! What a registry says in headers and refusals; names of images, platforms, digests.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| image::fuzzing::answers(bytes));

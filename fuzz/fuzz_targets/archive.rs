//! The documents of an image's archive, and of a registry's manifests and configurations.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| image::fuzzing::documents(bytes));

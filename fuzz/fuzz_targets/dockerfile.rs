//! A Dockerfile, its words and patterns: refused in words, or planned.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| image::fuzzing::dockerfile(text));

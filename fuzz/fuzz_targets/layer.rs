//! A layer, packed or not: refused in words, or a directory from which it comes back byte for byte.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// Of a tar.
const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;

fuzz_target!(|bytes: &[u8]| {
    // a header with a wrong sum is looked at no further: in every other input all are right
    match bytes.split_first() {
        Some((mode, tar)) if mode % 2 == 1 => {
            let mut tar = tar.to_vec();
            sum_headers(&mut tar);
            image::fuzzing::layer(&tar);
        }
        Some((_, packed)) => image::fuzzing::layer(packed),
        None => {}
    }
});

fn sum_headers(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK) {
        if header.iter().any(|byte| *byte != 0) {
            header[CHECKSUM].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let size = std::str::from_utf8(&header[124..135]).ok();
        let size = size.and_then(|text| usize::from_str_radix(text.trim_matches([' ', '\0']), 8).ok());
        at = at.saturating_add(BLOCK).saturating_add(size.unwrap_or(0).min(1 << 40).next_multiple_of(BLOCK));
        if at > tar.len() {
            return;
        }
    }
}

//! PEM as upstream writes it: lines of 64 letters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinds::builtin::pem;

pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", in_lines(&STANDARD.encode(der)))
}

/// Each certificate of a text; what stands between the blocks is not passed on.
pub(crate) fn certificates(text: &str) -> impl Iterator<Item = String> {
    let blocks = pem::blocks(text).into_iter().filter(|block| block.label == "CERTIFICATE");
    blocks.map(|block| encode("CERTIFICATE", &block.der))
}

fn in_lines(letters: &str) -> String {
    let letters: Vec<char> = letters.chars().collect();
    letters.chunks(64).flat_map(|line| line.iter().copied().chain(['\n'])).collect()
}

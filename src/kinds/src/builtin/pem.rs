//! PEM as Go reads it (`encoding/pem`): what stands between blocks is passed over, and so is what only looks like one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// `CERTIFICATE`
    pub label: String,
    pub has_headers: bool,
    pub der: Vec<u8>,
}

/// The blocks of a text, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(after) = next_begin(rest) {
        rest = match block(after) {
            Some((block, after)) => {
                found.push(block);
                after
            }
            None => after,
        };
    }
    found
}

/// What comes after a `-----BEGIN ` at the start of a line.
fn next_begin(text: &str) -> Option<&str> {
    let at = match text.starts_with(BEGIN) {
        true => 0,
        false => text.find(&format!("\n{BEGIN}"))? + 1,
    };
    Some(&text[at + BEGIN.len()..])
}

/// The block whose label stands here, and what comes after it. No line of a body begins with dashes: nobody looks further for the
/// end, so that a text of many beginnings is read in the time of its length.
fn block(text: &str) -> Option<(Block, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let label = first.trim_end().strip_suffix(DASHES)?;
    let end = match rest.starts_with(DASHES) {
        true => 0,
        false => rest.find(&format!("\n{DASHES}"))? + 1,
    };
    let (body, end) = rest.split_at(end);
    let after = end.strip_prefix("-----END ")?.strip_prefix(label)?.strip_prefix(DASHES)?;
    let is_header = |line: &str| line.contains(':');
    let lines: Vec<&str> = body.lines().map(str::trim).collect();
    let headers = lines.iter().take_while(|line| is_header(line)).count();
    let letters: String = lines[headers..].concat();
    let der = STANDARD.decode(letters).ok()?;
    Some((Block { label: label.to_owned(), has_headers: headers > 0, der }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_what_go_reads() {
        let plain = "-----BEGIN A-----\nYWI=\n-----END A-----\n";
        let cases: [(&str, String, &[(&str, bool)]); 9] = [
            ("none", "words".to_owned(), &[]),
            ("one", plain.to_owned(), &[("A", false)]),
            ("two, with words", format!("x\n{plain}y\r\n{plain}"), &[("A", false), ("A", false)]),
            ("headers", "-----BEGIN A-----\nK: v\n\nYWI=\n-----END A-----".to_owned(), &[("A", true)]),
            ("no end", "-----BEGIN A-----\nYWI=\n".to_owned(), &[]),
            ("a bad one first", format!("-----BEGIN B-----\n!\n-----END B-----\n{plain}"), &[("A", false)]),
            ("not at the start of a line", format!("x{plain}"), &[]),
            ("begun twice", format!("-----BEGIN A-----\n{plain}"), &[("A", false)]),
            ("another's end", "-----BEGIN A-----\nYWI=\n-----END B-----\n-----END A-----\n".to_owned(), &[]),
        ];
        for (name, text, want) in cases {
            let found = blocks(&text);
            let seen: Vec<_> = found.iter().map(|block| (block.label.as_str(), block.has_headers)).collect();
            assert_eq!(seen, want, "{name}");
            assert!(found.iter().all(|block| block.der == b"ab"), "{name}");
        }
    }
}

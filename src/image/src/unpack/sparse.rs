//! Files with holes as GNU tar writes them into pax archives (its manual, "Storing Sparse Files", 0.0, 0.1 and 1.0): the
//! entry holds only what is not zero, and beside it or in front of it where that belongs.

use crate::error::{ImageError, Result, out_of_io};
use std::io::{self, Read};
use std::path::Path;

/// Pieces of one file; a map is kept in memory.
const MAX_PIECES: usize = 1 << 20;
const BLOCK: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// The file's own name, where the entry's is a made-up one.
    pub(super) name: Option<Vec<u8>>,
    /// With the holes.
    pub(super) size: u64,
    /// Offsets and lengths in turn.
    numbers: Vec<u64>,
    map_is_in_content: bool,
}

/// Bytes of content, and where in the file they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) length: u64,
}

const PREFIX: &[u8] = b"GNU.sparse.";

impl Sparse {
    /// `None` for a file without holes.
    pub(super) fn of<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<Sparse>> {
        let mut sparse = None;
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            if let Some(key) = record.key_bytes().strip_prefix(PREFIX) {
                sparse.get_or_insert_with(Sparse::default).record(key, record.value_bytes());
            }
        }
        Ok(sparse)
    }

    /// What is no number counts as none: the map will not fit the content then.
    fn record(&mut self, key: &[u8], value: &[u8]) {
        let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        match key {
            b"name" => self.name = Some(value.to_owned()),
            b"size" | b"realsize" => self.size = number(value).unwrap_or(u64::MAX),
            b"major" => self.map_is_in_content = value == b"1",
            b"offset" | b"numbytes" => self.numbers.extend(number(value)),
            b"map" => self.numbers.extend(value.split(|byte| *byte == b',').filter_map(number)),
            _ => {}
        }
    }

    /// The pieces in order, of `stored` bytes of content; a map in the content is read from it.
    pub(super) fn pieces(mut self, path: &Path, content: &mut impl Read, stored: u64) -> Result<Vec<Piece>> {
        let mut left = stored;
        if self.map_is_in_content {
            let read = read_map(content).map_err(|e| out_of_io("read layer", e))?;
            self.numbers = read.numbers;
            left = left.saturating_sub(read.length);
        }
        let (pairs, odd) = self.numbers.as_chunks::<2>();
        let pieces: Vec<Piece> =
            pairs.iter().map(|[offset, length]| Piece { offset: *offset, length: *length }).collect();
        let mut end = 0;
        let fits = odd.is_empty()
            && pieces.iter().all(|piece| {
                let starts_after = piece.offset >= end;
                end = piece.offset.saturating_add(piece.length);
                starts_after && end <= self.size
            });
        let whole = pieces.iter().fold(0u64, |sum, piece| sum.saturating_add(piece.length));
        match fits && whole == left {
            true => Ok(pieces),
            false => Err(ImageError::Refused(format!(
                "layer: the map of the sparse file {} does not fit its content",
                path.display()
            ))),
        }
    }
}

struct Map {
    numbers: Vec<u64>,
    /// Bytes that it took, with its padding.
    length: u64,
}

/// How many pieces, then their numbers, a line each, in whole blocks.
fn read_map(content: &mut impl Read) -> io::Result<Map> {
    let broken = || io::Error::other("broken map of a sparse file");
    let (mut block, mut at, mut length) = ([0; BLOCK], BLOCK, 0);
    let mut number = || {
        let mut digits = String::new();
        loop {
            if at == BLOCK {
                content.read_exact(&mut block)?;
                (at, length) = (0, length + BLOCK as u64);
            }
            let byte = block[at];
            at += 1;
            match byte {
                b'\n' => return digits.parse::<u64>().map_err(|_| broken()),
                b'0'..=b'9' if digits.len() < 20 => digits.push(byte.into()),
                _ => return Err(broken()),
            }
        }
    };
    let count = usize::try_from(number()?).ok().filter(|count| *count <= MAX_PIECES).ok_or_else(broken)?;
    let numbers = (0..count * 2).map(|_| number()).collect::<io::Result<_>>()?;
    Ok(Map { numbers, length })
}

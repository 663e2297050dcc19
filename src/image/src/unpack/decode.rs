//! Decompresses layers and archives, told apart by their first bytes, counts and hashes both sides, and refuses what unpacks
//! to far more than it is.

use super::feed::{Feed, read_filled};
use crate::Digest;
use crate::digest::Hasher;
use crate::error::{ImageError, out_of_io, through_io};
use bytes::Bytes;
use lzma_rust2::XzReader;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;
use std::sync::mpsc::SyncSender;

/// Bytes handed on at once.
pub(super) const BLOCK: usize = 128 << 10;

/// Layers of zeros do exist (databases, swap files); text packs 10:1. Deflate can do 1032:1, zstd far more: what packs
/// better than this, once it is larger than [`FREE`], is there to fill the disk.
const MAX_RATIO: u64 = 400;
/// Below this many unpacked bytes the ratio does not matter.
const FREE: u64 = 1 << 30;
/// The largest layer at all: four times the largest images seen (GPU toolkits, models).
pub(super) const MAX_LAYER: u64 = 256 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// KiB that an xz archive may want to be unpacked: `xz -9` wants 65 MiB, and a header may say 4 GiB.
const XZ_MEMORY: u32 = 128 << 10;

impl Compression {
    /// Told by the first bytes: media types lie, and archives have none.
    pub(crate) fn sniff(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // a skippable frame, as zstd:chunked and estargz-like tools put in front
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            _ => Compression::None,
        }
    }

    /// Registries and their clients agree on these for layers.
    pub(crate) fn is_for_registries(self) -> bool {
        matches!(self, Compression::Gzip | Compression::Zstd)
    }
}

/// Reads an archive, whatever it is packed with: gzip, zstd, bzip2, xz or nothing. One that packs better than a layer may
/// fails in the middle.
///
/// # Errors
/// What reading its beginning says.
pub fn unpacked<'r>(packed: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    unpacked_after(packed, 0)
}

/// `before`: bytes that count as unpacked already.
fn unpacked_after<'r>(mut packed: impl BufRead + 'r, before: u64) -> io::Result<Box<dyn Read + 'r>> {
    let compression = Compression::sniff(packed.fill_buf()?);
    let through = Rc::new(Cell::new(0));
    let packed = Passing { inner: packed, through: through.clone() };
    let plain: Box<dyn Read + 'r> = match compression {
        Compression::None => return Ok(Box::new(packed)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(packed)?),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Compression::Xz => Box::new(XzReader::new_mem_limit(packed, true, XZ_MEMORY)),
    };
    Ok(Box::new(NoBomb { plain, unpacked: before, packed: through }))
}

/// Counts what a decoder takes, while the decoder has it.
struct Passing<R> {
    inner: R,
    through: Rc<Cell<u64>>,
}

impl<R: BufRead> BufRead for Passing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.through.set(self.through.get() + amount as u64);
    }
}

impl<R: BufRead> Read for Passing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.through.set(self.through.get() + got as u64);
        Ok(got)
    }
}

struct NoBomb<R> {
    plain: R,
    unpacked: u64,
    packed: Rc<Cell<u64>>,
}

impl<R: Read> Read for NoBomb<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.plain.read(buffer)?;
        self.unpacked += got as u64;
        check_ratio("archive", self.unpacked, self.packed.get()).map_err(through_io)?;
        Ok(got)
    }
}

/// # Errors
/// For what packs too well.
pub(super) fn check_ratio(of: &str, unpacked: u64, packed: u64) -> Result<(), ImageError> {
    if unpacked > FREE && unpacked / packed.max(1) > MAX_RATIO {
        return Err(ImageError::Refused(format!(
            "{of} unpacks to more than {MAX_RATIO} times its size ({packed} bytes): taken for a decompression bomb"
        )));
    }
    Ok(())
}

pub(super) struct Decoded {
    pub(super) diff_id: Digest,
    pub(super) blob: Digest,
    pub(super) blob_size: u64,
    pub(super) tar_size: u64,
    pub(super) compression: Compression,
}

pub(super) enum Failed {
    /// The untarer is gone, and knows why.
    NobodyListens,
    Because(ImageError),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Because(out_of_io("decompress layer", error))
    }
}

/// Reads all of `input`, hands it on inflated, and says what it was.
pub(super) fn decode(
    input: impl BufRead,
    out: SyncSender<Feed>,
    told: impl FnMut(u64),
) -> Result<Decoded, Failed> {
    let mut input = Counted { inner: input, hasher: Hasher::new(), told };
    let compression = Compression::sniff(input.fill_buf()?);
    let mut limits = Limits { unpacked: 0 };
    let diff_id = match compression {
        Compression::None => {
            pump(&mut PlainReader(&mut input), &out, &mut limits, |p| p.0.hasher.length)?;
            None
        }
        Compression::Gzip => {
            let mut reader = flate2::bufread::MultiGzDecoder::new(&mut input);
            Some(pump(&mut reader, &out, &mut limits, |r| r.get_ref().hasher.length)?)
        }
        Compression::Zstd => {
            let mut reader = zstd::Decoder::with_buffer(&mut input)?;
            Some(pump(&mut reader, &out, &mut limits, |r| r.get_ref().hasher.length)?)
        }
        Compression::Bzip2 => {
            let mut reader = bzip2::bufread::MultiBzDecoder::new(&mut input);
            Some(pump(&mut reader, &out, &mut limits, |r| r.get_ref().hasher.length)?)
        }
        Compression::Xz => {
            // it reads byte by byte
            let buffered = BufReader::with_capacity(BLOCK, &mut input);
            let mut reader = XzReader::new_mem_limit(buffered, true, XZ_MEMORY);
            Some(pump(&mut reader, &out, &mut limits, |r| r.inner().get_ref().hasher.length)?)
        }
    };
    io::copy(&mut PlainReader(&mut input), &mut io::sink())?;
    out.send(Feed::End).map_err(|_| Failed::NobodyListens)?;
    let blob = input.hasher.digest();
    Ok(Decoded {
        diff_id: diff_id.unwrap_or_else(|| blob.clone()),
        blob,
        blob_size: input.hasher.length,
        tar_size: limits.unpacked,
        compression,
    })
}

fn pump<R: Read>(
    reader: &mut R,
    out: &SyncSender<Feed>,
    limits: &mut Limits,
    consumed: impl Fn(&R) -> u64,
) -> Result<Digest, Failed> {
    let mut hasher = Hasher::new();
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        if reader.by_ref().take(BLOCK as u64).read_to_end(&mut block)? == 0 {
            return Ok(hasher.digest());
        }
        hasher.update(&block);
        limits.add(block.len() as u64, consumed(reader)).map_err(Failed::Because)?;
        out.send(Feed::Data(Bytes::from(block))).map_err(|_| Failed::NobodyListens)?;
    }
}

struct Limits {
    unpacked: u64,
}

impl Limits {
    fn add(&mut self, bytes: u64, packed: u64) -> Result<(), ImageError> {
        self.unpacked += bytes;
        if self.unpacked > MAX_LAYER {
            return Err(ImageError::Refused(format!("layer unpacks to more than {} GiB", MAX_LAYER >> 30)));
        }
        check_ratio("layer", self.unpacked, packed)
    }
}

/// Hashes and counts whatever is consumed.
struct Counted<R, T> {
    inner: R,
    hasher: Hasher,
    told: T,
}

impl<R: BufRead, T: FnMut(u64)> BufRead for Counted<R, T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // what is consumed was filled before, so this reads nothing
        if let Ok(bytes) = self.inner.fill_buf() {
            self.hasher.update(&bytes[..amount.min(bytes.len())]);
        }
        self.inner.consume(amount);
        (self.told)(self.hasher.length);
    }
}

impl<R: BufRead, T: FnMut(u64)> Read for Counted<R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_filled(self, buffer)
    }
}

/// Gives the counted input itself, so that what was counted can be asked while it is read.
struct PlainReader<'a, R, T>(&'a mut Counted<R, T>);

impl<R: BufRead, T: FnMut(u64)> Read for PlainReader<'_, R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_compression() {
        for (name, head, want) in [
            ("gzip", &[0x1f, 0x8b, 8][..], Compression::Gzip),
            ("zstd", &[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            ("zstd, skippable frame", &[0x51, 0x2a, 0x4d, 0x18], Compression::Zstd),
            ("bzip2", b"BZh91AY", Compression::Bzip2),
            ("xz", b"\xfd7zXZ\0", Compression::Xz),
            ("a tar", b"etc/passwd\0", Compression::None),
            ("nothing", b"", Compression::None),
        ] {
            assert_eq!(Compression::sniff(head), want, "{name}");
        }
    }

    #[test]
    fn a_packed_archive_that_is_a_bomb_ends_in_the_middle() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        io::copy(&mut io::repeat(0).take(2 << 20), &mut packer).unwrap();
        let packed = packer.finish().unwrap();
        let read = |before| io::copy(&mut unpacked_after(&packed[..], before).unwrap(), &mut io::sink());
        assert_eq!(read(0).unwrap(), 2 << 20, "small ones may pack as they like");
        let why = read(FREE).unwrap_err().to_string();
        assert!(why.contains("archive unpacks to more than 400 times its size"), "{why}");
    }

    #[test]
    fn a_bomb_is_told_by_its_ratio_but_only_when_it_is_large() {
        let mut limits = Limits { unpacked: 0 };
        assert!(limits.add(FREE, 10).is_ok(), "small ones may pack as they like");
        assert!(limits.add(1, FREE / 100).is_ok(), "a large one that packs 100:1");
        assert!(limits.add(1, FREE / 1000).unwrap_err().to_string().contains("bomb"));
        assert!(limits.add(MAX_LAYER, MAX_LAYER).is_err(), "larger than any layer");
    }
}

//! ADD unpacks archives of the context, whatever they are packed with.

use crate::unpack::Compression;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use tar::{Builder, EntryType};

/// Owners and modes stay as the archive has them. Its names are checked when the layer is unpacked.
pub(super) fn append(tar: &mut Builder<impl Write>, dest: &Path, real: &Path) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(real)?);
    let compression = Compression::sniff(reader.fill_buf()?);
    let plain: Box<dyn Read> = match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(reader)?),
    };
    for entry in tar::Archive::new(plain).entries()? {
        let entry = entry?;
        let mut header = entry.header().clone();
        header.set_size(entry.size());
        let inside = entry.path()?.into_owned();
        let is_below = inside
            .components()
            .all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir));
        if !is_below {
            return Err(io::Error::other(format!(
                "{}: {} leads out of it",
                real.display(),
                inside.display()
            )));
        }
        let path = dest.join(inside.strip_prefix(".").unwrap_or(&inside));
        if path.as_os_str().is_empty() {
            continue;
        }
        match header.entry_type() {
            EntryType::XGlobalHeader => {}
            EntryType::Symlink => {
                tar.append_link(&mut header, path, entry.link_name()?.unwrap_or_default())?
            }
            EntryType::Link => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                tar.append_link(&mut header, path, dest.join(target.strip_prefix(".").unwrap_or(&target)))?;
            }
            // the copy of a sparse file has its zeros written out
            EntryType::GNUSparse => {
                header.set_entry_type(EntryType::Regular);
                tar.append_data(&mut header, path, entry)?;
            }
            _ => tar.append_data(&mut header, path, entry)?,
        }
    }
    Ok(())
}

/// A tar, plain or packed with what this program can unpack. What it cannot is refused, and not copied as it is.
pub(super) fn is_one(path: &Path) -> Result<bool, String> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    file.take(512).read_to_end(&mut head).map_err(|e| e.to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if head.starts_with(b"\xfd7zXZ\0") || head.starts_with(b"BZh") {
        return Err(format!(
            "{name}: archives packed with xz or bzip2 are not supported: use gzip or zstd, or COPY"
        ));
    }
    match Compression::sniff(&head) {
        Compression::None => Ok(head.get(257..262) == Some(b"ustar")),
        // a packed file that is no tar is copied as it is
        _ => Ok(is_packed_tar(path)),
    }
}

fn is_packed_tar(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut reader = BufReader::new(file);
    let Ok(head) = reader.fill_buf() else { return false };
    let mut first = Vec::new();
    let read = match Compression::sniff(head) {
        Compression::Gzip => flate2::bufread::GzDecoder::new(reader).take(512).read_to_end(&mut first),
        Compression::Zstd => match zstd::Decoder::with_buffer(reader) {
            Ok(decoder) => decoder.take(512).read_to_end(&mut first),
            Err(e) => Err(e),
        },
        Compression::None => return false,
    };
    read.is_ok() && first.get(257..262) == Some(b"ustar")
}

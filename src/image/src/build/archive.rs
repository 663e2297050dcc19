//! ADD unpacks archives of the context, whatever they are packed with.

use crate::unpack::{BoundedHeaders, clean, unpacked};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use tar::{Builder, EntryType};

/// Modes stay as the archive has them, and owners where none is given; the directory itself stays as it is. Its names are checked when the layer is unpacked.
pub(super) fn append(
    tar: &mut Builder<impl Write>,
    dest: &Path,
    real: &Path,
    owner: Option<(u64, u64)>,
) -> io::Result<()> {
    let (plain, bound) = BoundedHeaders::new(unpacked(BufReader::new(File::open(real)?))?);
    for entry in tar::Archive::new(plain).entries()? {
        let mut entry = entry?;
        bound.entry(&mut entry)?;
        let attributes = attributes(&mut entry)?;
        let mut header = entry.header().clone();
        header.set_size(entry.size());
        let below = |name: &[u8]| {
            let leads_out =
                |_| format!("{}: {} leads out of it", real.display(), String::from_utf8_lossy(name));
            clean("entry", name).map_err(leads_out).map_err(io::Error::other)
        };
        let inside = below(&entry.path_bytes())?;
        if inside.as_os_str().is_empty() {
            continue;
        }
        let path = dest.join(inside);
        if let Some((uid, gid)) = owner {
            header.set_uid(uid);
            header.set_gid(gid);
        }
        if !attributes.is_empty() {
            let attributes = attributes.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            tar.append_pax_extensions(attributes)?;
        }
        match header.entry_type() {
            EntryType::XGlobalHeader => {}
            EntryType::Symlink => {
                tar.append_link(&mut header, path, entry.link_name()?.unwrap_or_default())?
            }
            EntryType::Link => {
                let target = below(&entry.link_name_bytes().unwrap_or_default())?;
                tar.append_link(&mut header, path, dest.join(target))?;
            }
            // the copy of a sparse file has its zeros written out
            EntryType::GNUSparse => {
                header.set_entry_type(EntryType::Regular);
                tar.append_data(&mut header, path, bound.content(entry))?;
            }
            _ => tar.append_data(&mut header, path, entry)?,
        }
    }
    Ok(())
}

/// Those that a file has beside its mode; names and sizes are told by the new archive itself.
fn attributes(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let name = extension.key().ok().filter(|name| name.starts_with("SCHILY.xattr."));
        found.extend(name.map(|name| (name.to_owned(), extension.value_bytes().to_vec())));
    }
    Ok(found)
}

/// A tar, plain or packed. A packed file that is no tar is copied as it is.
pub(super) fn is_one(path: &Path) -> Result<bool, String> {
    let opened = trees::open_regular(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let Some(file) = opened else { return Ok(false) };
    let mut first = Vec::new();
    let read = unpacked(BufReader::new(file)).and_then(|plain| plain.take(512).read_to_end(&mut first));
    Ok(read.is_ok() && first.get(257..262) == Some(b"ustar"))
}

//! What is mounted where, as the kernel tells it; proc_pid_mountinfo(5). Nothing of what is mounted is looked at for it: a server
//! behind a mount may be gone.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A line of the table, as far as somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is.
    pub target: PathBuf,
    /// With whom it shares what is mounted in it: `shared:7`, `master:2`.
    pub tags: Vec<String>,
}

/// Where something is mounted for this thread, in the order in which it was.
///
/// # Errors
/// There is no /proc.
pub fn targets() -> io::Result<Vec<PathBuf>> {
    Ok(targets_of(&table()?))
}

/// Whether something is mounted right there. The path holds no links.
///
/// # Errors
/// There is no /proc.
pub fn is_target(path: &Path) -> io::Result<bool> {
    Ok(targets()?.iter().any(|target| target == path))
}

/// The mount that a path is on. It holds no links.
///
/// # Errors
/// There is no /proc.
pub fn mount_of(path: &Path) -> io::Result<Option<Mount>> {
    Ok(mount_in(&table()?, path))
}

fn table() -> io::Result<Vec<u8>> {
    std::fs::read("/proc/thread-self/mountinfo")
}

fn targets_of(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape).collect()
}

fn mount_in(table: &[u8], path: &Path) -> Option<Mount> {
    let mounts = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let target = unescape(fields.nth(4)?);
        Some((target, fields))
    });
    let around = mounts.filter(|(target, _)| path.starts_with(target));
    // of those at one place the last one covers the others
    let (target, fields) = around.max_by_key(|(target, _)| target.components().count())?;
    let tags = fields.skip(1).take_while(|field| *field != b"-");
    Some(Mount { target, tags: tags.map(|tag| String::from_utf8_lossy(tag).into_owned()).collect() })
}

/// The kernel writes blanks, tabs, ends of lines and backslashes as `\040`, and nothing else has a backslash.
fn unescape(bytes: &[u8]) -> PathBuf {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let octal =
            bytes.get(at + 1..at + 4).and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        match octal {
            Some(byte) if bytes[at] == b'\\' => {
                out.push(byte);
                at += 4;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_unescaped() {
        let table = b"1 0 8:1 / / rw shared:1 - ext4 /dev/a rw\n2 1 0:5 / /a\\040b\\134c rw - tmpfs t rw\n";
        assert_eq!(targets_of(table), [PathBuf::from("/"), PathBuf::from("/a b\\c")]);
    }

    #[test]
    fn names_of_blanks() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b"/a\\040b", b"/a b"),
            (b"/a\\011b\\012c", b"/a\tb\nc"),
            (b"/a\\134040", b"/a\\040"),
            (b"/a\\134\\134", b"/a\\\\"),
            (b"/\xff\\040", b"/\xff "),
            // nothing that the kernel writes
            (b"/a\\99\\04", b"/a\\99\\04"),
        ];
        for (written, want) in cases {
            let want = PathBuf::from(OsString::from_vec(want.to_vec()));
            assert_eq!(unescape(written), want, "{}", String::from_utf8_lossy(written));
        }
    }

    #[test]
    fn which_mount_a_path_is_on() {
        let table = b"1 0 8:1 / / rw shared:1 - ext4 /dev/a rw\n2 1 0:5 / /mnt/x\\040y rw,noatime shared:7 master:2 - tmpfs t rw\n\
                      3 1 0:6 / /mnt/z rw shared:9 - tmpfs t rw\n4 3 0:7 / /mnt/z rw - tmpfs t rw\n";
        let of = |path: &str| {
            let Mount { target, tags } = mount_in(table, Path::new(path)).unwrap();
            (target.into_os_string().into_string().unwrap(), tags)
        };
        let is = |target: &str, tags: &[&str]| {
            (target.to_owned(), tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of("/mnt/x y/deep"), is("/mnt/x y", &["shared:7", "master:2"]));
        assert_eq!(of("/mnt/z"), is("/mnt/z", &[]), "the last of two");
        assert_eq!(of("/mnt/x"), is("/", &["shared:1"]));
        assert_eq!(of("/mnt/x\\040y"), is("/", &["shared:1"]));
        assert!(mount_in(b"", Path::new("/")).is_none());
    }

    #[test]
    fn what_is_mounted_and_what_is_not() {
        assert!(is_target(Path::new("/proc")).unwrap());
        assert!(!is_target(Path::new("/proc/self")).unwrap());
    }
}

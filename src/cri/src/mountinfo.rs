//! What is mounted where, as the kernel tells it; proc_pid_mountinfo(5). Nothing of what is mounted is looked at for it: a server
//! behind a mount may be gone.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where something is mounted for this thread, in the order in which it was.
///
/// # Errors
/// There is no /proc.
pub fn targets() -> io::Result<Vec<PathBuf>> {
    Ok(targets_of(&std::fs::read(Path::new("/proc/thread-self/mountinfo"))?))
}

/// Whether something is mounted right there. The path holds no links.
///
/// # Errors
/// There is no /proc.
pub fn is_target(path: &Path) -> io::Result<bool> {
    Ok(targets()?.iter().any(|target| target == path))
}

fn targets_of(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape).collect()
}

/// The kernel writes blanks and backslashes as `\040`.
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
    fn what_is_mounted_and_what_is_not() {
        assert!(is_target(Path::new("/proc")).unwrap());
        assert!(!is_target(Path::new("/proc/self")).unwrap());
    }
}

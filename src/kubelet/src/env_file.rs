//! Variables out of a file that another container wrote (KEP-3721): lines of `NAME='value'`. A value stands in single quotes, may
//! go over several lines, and holds no quote; blank lines and those that begin with `#` say nothing.

use cri::subpath;
use nix::errno::Errno;
use std::io::Read;
use std::path::Path;

/// Upstream reads no more of a file.
const LARGEST_FILE: u64 = 64 * 1024;

/// What the file at `path` in a volume's directory says of `key`; `None` where there is no such file, or no such key in it.
///
/// # Errors
/// What can not be read, leads out of the volume, or is written in another way.
pub fn value(volume: &Path, path: &str, key: &str) -> Result<Option<String>, String> {
    let found = match subpath::open(volume, Path::new(path)) {
        Ok(found) => found,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(format!("open {path}: {errno}")),
    };
    // a pod may have made a device there, which must not be opened
    let opened = trees::read_regular(found).map_err(|e| format!("open {path}: {e}"))?;
    let file = opened.ok_or_else(|| format!("{path} is no file"))?;
    let mut text = String::new();
    file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(|e| format!("read {path}: {e}"))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("{path} is larger than {LARGEST_FILE} bytes"));
    }
    find(&text, key).map_err(|line| format!("{path}: invalid environment variable format at line {line}"))
}

/// The first value of the key; else the number of the line that can not be read.
fn find(text: &str, key: &str) -> Result<Option<String>, usize> {
    let mut found = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once("='").ok_or(number)?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(number);
        }
        let mut value = rest.to_owned();
        while !value.contains('\'') {
            let (_, more) = lines.next().ok_or(number)?;
            value.push('\n');
            value.push_str(more);
        }
        let (value, behind) = value.split_once('\'').ok_or(number)?;
        // nothing that begins can have it
        if !behind.trim().is_empty() || value.contains('\0') {
            return Err(number);
        }
        if name == key && found.is_none() {
            found = Some(value.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_variables_is_read() {
        let text = "# made by init\n\nA='1'\nLONG='first\n# second'  \nEMPTY=''\nA='2'\n";
        for (key, want) in
            [("A", Some("1")), ("LONG", Some("first\n# second")), ("EMPTY", Some("")), ("B", None)]
        {
            assert_eq!(find(text, key).unwrap().as_deref(), want, "{key}");
        }
        for (text, line) in
            [("A=1", 1), ("\nA='1", 2), ("A B='1'", 1), ("A='1' B='2'", 1), ("='1'", 1), ("A='1\0'", 1)]
        {
            assert_eq!(find(text, "A"), Err(line), "{text}");
        }
    }

    #[test]
    fn only_a_file_of_the_volume_is_read() {
        let volume = tempfile::tempdir().unwrap();
        std::fs::write(volume.path().join("env"), "A='1'").unwrap();
        std::fs::create_dir(volume.path().join("dir")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", volume.path().join("link")).unwrap();
        std::fs::write(volume.path().join("large"), "#".repeat(70_000)).unwrap();
        assert_eq!(value(volume.path(), "env", "A"), Ok(Some("1".to_owned())));
        assert_eq!(value(volume.path(), "none", "A"), Ok(None));
        nix::unistd::mkfifo(&volume.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in ["dir", "link", "../x", "large", "pipe"] {
            assert!(value(volume.path(), path, "A").is_err(), "{path}");
        }
    }

    #[test]
    fn a_device_in_a_file_s_place_is_not_opened() {
        use nix::fcntl::OFlag;
        use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
        let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let terminal = std::path::PathBuf::from(ptsname_r(&master).unwrap());
        let name = terminal.file_name().unwrap().to_str().unwrap();
        let refused = value(terminal.parent().unwrap(), name, "A");
        assert_eq!(refused, Err(format!("{name} is no file")));
        // the end of a terminal that somebody has opened and closed
        let told = master.read(&mut [0]).unwrap_err();
        assert_eq!(told.kind(), std::io::ErrorKind::WouldBlock, "{told}");
    }
}

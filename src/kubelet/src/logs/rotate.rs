//! Which files a log's rotation makes and removes: `0.log`, `0.log.20260101-000000`, as upstream names them.

use jiff::Timestamp;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub const LARGEST: u64 = 10 << 20; // upstream's containerLogMaxSize
pub const MOST_FILES: usize = 5; // upstream's containerLogMaxFiles, with the one that is written

/// What was rotated away from this log, the oldest first.
pub fn rotated(log: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (log.parent(), log.file_name()) else { return Vec::new() };
    let prefix = format!("{}.", name.to_string_lossy());
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Moves the log aside and removes the oldest ones; its writer must then open it anew. Gives the new name.
///
/// # Errors
/// What the file system refused; the log is where it was.
pub fn rotate(log: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let old = rotated(log);
    // the one that is about to be made, and the one that is written
    for surplus in old.iter().take((old.len() + 2).saturating_sub(MOST_FILES)) {
        fs::remove_file(surplus)?;
    }
    let aside = PathBuf::from(format!("{}.{}", log.display(), now.strftime("%Y%m%d-%H%M%S%.3f")));
    fs::rename(log, &aside)?;
    Ok(aside)
}

/// The log of one try at a container, with what was rotated away from it.
pub fn remove(log: &Path) {
    for old in rotated(log) {
        let _ = fs::remove_file(old);
    }
    let _ = fs::remove_file(log);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_files_stay_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("0.log");
        fs::write(dir.path().join("1.log"), "another try's").unwrap();
        for n in 0..8 {
            fs::write(&log, n.to_string()).unwrap();
            rotate(&log, Timestamp::from_second(1_700_000_000 + n).unwrap()).unwrap();
        }
        let texts: Vec<String> = rotated(&log).iter().map(|f| fs::read_to_string(f).unwrap()).collect();
        assert_eq!(texts, ["4", "5", "6", "7"]);
        assert!(!log.exists() && dir.path().join("1.log").exists());
    }
}

//! Upstream's atomic writer: all files of a volume change at once, by the rename of one symbolic link.
//!
//! `key` → `..data/key`, `..data` → `..<time>`, and the files in there. A container sees the old files or the new.

use super::payload::Payload;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_tmp";

/// Returns whether something was written.
///
/// # Errors
/// What the file system refused; the old content stays.
pub fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> io::Result<bool> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(if group.is_some() { 0o2775 } else { 0o777 }))?;
    give(dir, group)?;
    let current = fs::read_link(dir.join(DATA)).ok();
    if let Some(current) = current.filter(|current| same(&dir.join(current), payload)) {
        // whoever wrote it may have been killed before all was done
        return finish(dir, &current, payload);
    }
    let name = format!("..{}", jiff::Timestamp::now().strftime("%Y_%m_%d_%H_%M_%S.%N"));
    let fresh = dir.join(&name);
    fs::create_dir(&fresh)?;
    fs::set_permissions(&fresh, Permissions::from_mode(if group.is_some() { 0o2755 } else { 0o755 }))?;
    give(&fresh, group)?;
    if let Err(error) = fill(&fresh, payload, group).and_then(|()| switch(dir, &name)) {
        let _ = trees::remove(&fresh);
        return Err(error);
    }
    finish(dir, Path::new(&name), payload)?;
    Ok(true)
}

/// What follows the switch, as far as it is not done: the names, and the end of whatever else was written, by whomever. Returns
/// whether there was something to do.
fn finish(dir: &Path, current: &Path, payload: &Payload) -> io::Result<bool> {
    let has_linked = link_names(dir, payload)?;
    Ok(remove_others(dir, current)? || has_linked)
}

/// Content that was there before, or was never switched to.
fn remove_others(dir: &Path, current: &Path) -> io::Result<bool> {
    let mut has_removed = false;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b"..") || name == DATA || Path::new(&name) == current {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => trees::remove(&entry.path())?,
            // a link that was about to be the current one
            false => fs::remove_file(entry.path())?,
        }
        has_removed = true;
    }
    Ok(has_removed)
}

fn same(current: &Path, payload: &Payload) -> bool {
    let all_equal = payload.iter().all(|(path, file)| {
        let at = current.join(path);
        fs::read(&at).is_ok_and(|data| data == file.data)
    });
    all_equal && count_files(current).is_ok_and(|count| count == payload.len())
}

/// Without a stack and a descriptor for each level: the path of an item may have two thousand directories.
fn count_files(dir: &Path) -> io::Result<usize> {
    let (mut count, mut left) = (0, vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { left.push(entry.path()) } else { count += 1 }
        }
    }
    Ok(count)
}

fn fill(fresh: &Path, payload: &Payload, group: Option<u32>) -> io::Result<()> {
    for (path, file) in payload {
        let at = fresh.join(path);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent)?;
            parent.ancestors().take_while(|p| *p != fresh).try_for_each(|p| give(p, group))?;
        }
        let mut open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
        open.write_all(&file.data)?;
        // the group of a volume may read what the owner may
        let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
        fs::set_permissions(&at, Permissions::from_mode(mode))?;
        std::os::unix::fs::lchown(&at, file.owner, group)?;
    }
    Ok(())
}

fn switch(dir: &Path, name: &str) -> io::Result<()> {
    let next = dir.join(DATA_NEXT);
    match fs::remove_file(&next) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => symlink(name, &next)?,
    }
    fs::rename(&next, dir.join(DATA))
}

/// The names that containers use; those without a file go. Returns whether some were missing, or too many.
fn link_names(dir: &Path, payload: &Payload) -> io::Result<bool> {
    let mut missing: BTreeSet<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    let mut has_removed = false;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // a directory is where another volume is mounted
        if name.starts_with("..") || missing.remove(&*name) || entry.file_type()?.is_dir() {
            continue;
        }
        fs::remove_file(entry.path())?;
        has_removed = true;
    }
    for name in &missing {
        match symlink(Path::new(DATA).join(name), dir.join(name)) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    Ok(has_removed || !missing.is_empty())
}

pub fn give(path: &Path, group: Option<u32>) -> io::Result<()> {
    match group {
        Some(group) => std::os::unix::fs::lchown(path, None, Some(group)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::File;
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        files
            .iter()
            .map(|(p, d)| {
                ((*p).to_owned(), File { data: d.as_bytes().to_vec().into(), mode: 0o644, owner: None })
            })
            .collect()
    }

    #[test]
    fn an_update_shows_all_new_files_and_nothing_old() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("v");
        assert!(write(&dir, &payload(&[("a", "1"), ("sub/b", "2")]), None).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "1");
        assert_eq!(fs::read_to_string(dir.join("sub/b")).unwrap(), "2");
        assert!(fs::symlink_metadata(dir.join("a")).unwrap().is_symlink());
        assert!(!write(&dir, &payload(&[("a", "1"), ("sub/b", "2")]), None).unwrap(), "nothing to do");
        assert!(write(&dir, &payload(&[("a", "3"), ("c", "4")]), None).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "3");
        assert_eq!(fs::read_to_string(dir.join("c")).unwrap(), "4");
        assert!(!dir.join("sub").exists(), "what is no longer there is gone");
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "..data, one directory, two names: {left:?}");
        assert!(write(&dir, &payload(&[]), None).unwrap());
        assert!(!dir.join("a").exists());
    }

    fn write_half(dir: &Path, name: &str, payload: &Payload) {
        fs::create_dir(dir.join(name)).unwrap();
        fill(&dir.join(name), payload, None).unwrap();
    }

    fn write_and_switch(dir: &Path, payload: &Payload) {
        write_half(dir, "..next", payload);
        switch(dir, "..next").unwrap();
    }

    /// What a daemon leaves that is killed at each step of a write: the next one finishes it, also where the content is the same.
    #[test]
    fn a_write_that_was_broken_off_is_finished() {
        let steps: [(&str, fn(&Path, &Payload)); 5] = [
            ("while it wrote", |dir, new| write_half(dir, "..half", new)),
            ("before the switch", |dir, new| {
                write_half(dir, "..next", new);
                symlink("..next", dir.join(DATA_NEXT)).unwrap();
            }),
            ("after the switch", write_and_switch),
            ("between two names", |dir, new| {
                write_and_switch(dir, new);
                fs::remove_file(dir.join("gone")).unwrap();
            }),
            ("before the old content went", |dir, new| {
                write_and_switch(dir, new);
                link_names(dir, new).unwrap();
            }),
        ];
        let (old, new) = (payload(&[("a", "1"), ("gone", "1")]), payload(&[("a", "2"), ("sub/b", "2")]));
        for (name, leave) in steps {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("v");
            write(&dir, &old, None).unwrap();
            leave(&dir, &new);
            assert!(write(&dir, &new, None).unwrap(), "{name}");
            assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "2", "{name}");
            assert_eq!(fs::read_to_string(dir.join("sub/b")).unwrap(), "2", "{name}");
            let current = fs::read_link(dir.join(DATA)).unwrap().to_string_lossy().into_owned();
            let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
            let left: BTreeSet<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
            let want = BTreeSet::from([DATA.to_owned(), current, "a".to_owned(), "sub".to_owned()]);
            assert_eq!(left, want, "{name}");
            assert!(!write(&dir, &new, None).unwrap(), "{name}: nothing is left to do");
        }
    }

    #[test]
    fn an_item_may_lie_as_deep_as_a_path_can_say() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("v");
        let deep = "d/".repeat(1900) + "f";
        let files = payload(&[(deep.as_str(), "1")]);
        assert!(write(&dir, &files, None).unwrap());
        assert!(!write(&dir, &files, None).unwrap(), "nothing to do");
        assert!(write(&dir, &payload(&[]), None).unwrap());
        assert!(!dir.join("d").exists());
    }
}

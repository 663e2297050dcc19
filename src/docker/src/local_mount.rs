//! What the local driver mounts for a volume that has options: `-o type=nfs -o o=addr=files,rw -o device=:/export`. As in Docker it is
//! mount(2) alone, without the helpers of mount(8): words that are no flags are the file system's, and the kernel says what it thinks
//! of them. No word of it is ever a program's argument.

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

/// What is said that mount(2) takes is cut off by the kernel there, silently.
const PAGE: usize = 4096;
/// Those that are set after something is mounted.
const PROPAGATIONS: MsFlags =
    MsFlags::MS_SHARED.union(MsFlags::MS_PRIVATE).union(MsFlags::MS_SLAVE).union(MsFlags::MS_UNBINDABLE);
const READ_ONLY_BIND: MsFlags = MsFlags::MS_BIND.union(MsFlags::MS_RDONLY);

/// As `docker volume create -o` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalMount {
    kind: String,
    device: String,
    options: String,
}

/// # Errors
/// In Docker's words: an option that the driver does not have, or one without those that it needs.
pub(crate) fn check(options: &BTreeMap<String, String>) -> Result<(), String> {
    const NEEDED: [(&str, &[&str]); 3] =
        [("device", &["type"]), ("o", &["device", "type"]), ("type", &["device"])];
    const QUOTA: &str = "size";
    let is_known = |name: &str| name == QUOTA || NEEDED.iter().any(|(known, _)| *known == name);
    if let Some(option) = options.keys().find(|name| !is_known(name.as_str())) {
        return Err(format!("invalid option: {option:?}"));
    }
    // a directory of ours has none, as Docker's on most file systems
    if options.get(QUOTA).is_some_and(|size| size != "0") {
        return Err("quota size requested but no quota support".to_owned());
    }
    let mut missing = NEEDED.iter().filter(|(name, _)| options.contains_key(*name));
    let missing = missing.find_map(|(_, needed)| needed.iter().find(|name| !options.contains_key(**name)));
    missing.map_or(Ok(()), |name| Err(format!("missing required option: {name:?}")))
}

impl LocalMount {
    /// None where the volume is a directory of ours.
    pub(crate) fn of(options: &BTreeMap<String, String>) -> Option<LocalMount> {
        let said = |name: &str| options.get(name).cloned().unwrap_or_default();
        let wanted = LocalMount { kind: said("type"), device: said("device"), options: said("o") };
        (!wanted.kind.is_empty() || !wanted.device.is_empty()).then_some(wanted)
    }

    /// Blocks, and where a server does not answer as long as the kernel waits for it.
    ///
    /// # Errors
    /// In Docker's words; nothing is mounted then. No password is in them.
    pub(crate) fn mount(&self, target: &Path) -> Result<(), String> {
        if self.device.is_empty() {
            return Err("missing device in volume options".to_owned());
        }
        let wanted = self.with_addresses(find_address)?;
        wanted
            .mount_at(target)
            .map_err(|why| format!("failed to mount local volume: {}", self.hide_password(why)))
    }

    fn mount_at(&self, target: &Path) -> Result<(), String> {
        let (flags, data) = flags(&self.options);
        if data.len() >= PAGE {
            return Err(format!("mount options are longer than {} bytes", PAGE - 1));
        }
        let (own, device) = (flags.difference(PROPAGATIONS), self.device.as_str());
        let data = Some(data.as_str()).filter(|data| !data.is_empty());
        let made = mount(Some(device), target, Some(self.kind.as_str()), own, data);
        made.map_err(|why| failed("mount", &format!("{device}:{}", target.display()), own, data, why))?;
        let changed = |what: &str, flags: MsFlags| {
            let changed = mount(None::<&str>, target, None::<&str>, flags, None::<&str>);
            changed.map_err(|why| {
                let _ = trees::unmount_each(|at| at.starts_with(target));
                failed(what, &target.display().to_string(), flags, None, why)
            })
        };
        if flags.intersects(PROPAGATIONS) {
            changed("remount", flags.intersection(PROPAGATIONS.union(MsFlags::MS_REC)))?;
        }
        if own.contains(READ_ONLY_BIND) {
            // a bind mount takes its flags when it is mounted again
            changed("remount-ro", own.union(MsFlags::MS_REMOUNT))?;
        }
        Ok(())
    }

    /// The kernel knows servers by address only.
    fn with_addresses(&self, find: impl Fn(&str) -> io::Result<IpAddr>) -> Result<LocalMount, String> {
        let mut found = self.clone();
        if !matches!(self.kind.as_str(), "nfs" | "nfs4" | "cifs") {
            return Ok(found);
        }
        let find = |host: &str| {
            find(host).map_err(|why| {
                format!("error resolving passed in network volume address: lookup {host}: {why}")
            })
        };
        if let Some(host) = value(&self.options, "addr") {
            if host.parse::<IpAddr>().is_err() {
                let word = |host: &str| format!("addr={host}");
                found.options = self.options.replacen(&word(host), &word(&find(host)?.to_string()), 1);
            }
            return Ok(found);
        }
        let share = self.device.strip_prefix("//").filter(|_| self.kind == "cifs");
        if let Some((host, share)) = share.and_then(|share| share.split_once('/'))
            && !host.is_empty()
            && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
        {
            found.device = format!("//{}/{share}", find(host)?);
        }
        Ok(found)
    }

    fn hide_password(&self, told: String) -> String {
        match value(&self.options, "password") {
            Some(password) => told.replace(&format!("password={password}"), "password=********"),
            None => told,
        }
    }
}

fn value<'a>(options: &'a str, name: &str) -> Option<&'a str> {
    let found = options.split(',').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.filter(|value| !value.is_empty())
}

fn find_address(host: &str) -> io::Result<IpAddr> {
    let mut found = (host, 0).to_socket_addrs()?;
    found.next().map(|address| address.ip()).ok_or_else(|| io::Error::other("no such host"))
}

/// As Docker's library for mounts says it.
fn failed(what: &str, place: &str, flags: MsFlags, data: Option<&str>, why: Errno) -> String {
    let mut said = format!("{what} {place}");
    if !flags.is_empty() {
        said += &format!(", flags: 0x{:x}", flags.bits());
    }
    if let Some(data) = data {
        said += &format!(", data: {data}");
    }
    format!("{said}: {}", why.desc().to_lowercase())
}

/// mount(8)'s words as mount(2)'s flags, and what is left for the file system.
fn flags(options: &str) -> (MsFlags, String) {
    let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
    for word in options.split(',').filter(|word| !word.is_empty()) {
        match flag(word) {
            Some((flag, is_set)) => flags.set(flag, is_set),
            // says nothing
            None if word == "defaults" => {}
            None => data.push(word),
        }
    }
    (flags, data.join(","))
}

fn flag(word: &str) -> Option<(MsFlags, bool)> {
    let recursive = |flag: MsFlags| (flag.union(MsFlags::MS_REC), true);
    Some(match word {
        "ro" => (MsFlags::MS_RDONLY, true),
        "rw" => (MsFlags::MS_RDONLY, false),
        "nosuid" => (MsFlags::MS_NOSUID, true),
        "suid" => (MsFlags::MS_NOSUID, false),
        "nodev" => (MsFlags::MS_NODEV, true),
        "dev" => (MsFlags::MS_NODEV, false),
        "noexec" => (MsFlags::MS_NOEXEC, true),
        "exec" => (MsFlags::MS_NOEXEC, false),
        "sync" => (MsFlags::MS_SYNCHRONOUS, true),
        "async" => (MsFlags::MS_SYNCHRONOUS, false),
        "dirsync" => (MsFlags::MS_DIRSYNC, true),
        "remount" => (MsFlags::MS_REMOUNT, true),
        "mand" => (MsFlags::MS_MANDLOCK, true),
        "nomand" => (MsFlags::MS_MANDLOCK, false),
        "noatime" => (MsFlags::MS_NOATIME, true),
        "atime" => (MsFlags::MS_NOATIME, false),
        "nodiratime" => (MsFlags::MS_NODIRATIME, true),
        "diratime" => (MsFlags::MS_NODIRATIME, false),
        "relatime" => (MsFlags::MS_RELATIME, true),
        "norelatime" => (MsFlags::MS_RELATIME, false),
        "strictatime" => (MsFlags::MS_STRICTATIME, true),
        "nostrictatime" => (MsFlags::MS_STRICTATIME, false),
        "bind" => (MsFlags::MS_BIND, true),
        "rbind" => recursive(MsFlags::MS_BIND),
        "unbindable" => (MsFlags::MS_UNBINDABLE, true),
        "runbindable" => recursive(MsFlags::MS_UNBINDABLE),
        "private" => (MsFlags::MS_PRIVATE, true),
        "rprivate" => recursive(MsFlags::MS_PRIVATE),
        "shared" => (MsFlags::MS_SHARED, true),
        "rshared" => recursive(MsFlags::MS_SHARED),
        "slave" => (MsFlags::MS_SLAVE, true),
        "rslave" => recursive(MsFlags::MS_SLAVE),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn local(kind: &str, device: &str, o: &str) -> LocalMount {
        LocalMount::of(&options(&[("type", kind), ("device", device), ("o", o)])).unwrap()
    }

    #[test]
    fn options_that_do_not_go_together() {
        for (name, given, want) in [
            ("none", &[][..], ""),
            ("a bind", &[("type", "none"), ("o", "bind"), ("device", "/srv")], ""),
            ("a kind without options", &[("type", "tmpfs"), ("device", "tmpfs")], ""),
            ("no quota", &[("size", "0")], ""),
            ("a word of others", &[("what", "1")], "invalid option: \"what\""),
            ("no device", &[("type", "nfs"), ("o", "ro")], "missing required option: \"device\""),
            ("no type", &[("device", "/srv"), ("o", "bind")], "missing required option: \"type\""),
            ("a quota", &[("size", "10m")], "quota size requested but no quota support"),
        ] {
            assert_eq!(check(&options(given)).err().unwrap_or_default(), want, "{name}");
        }
        assert_eq!(LocalMount::of(&options(&[("size", "0")])), None, "a directory of ours");
    }

    #[test]
    fn what_is_a_flag_and_what_is_the_file_systems() {
        for (given, want, data) in [
            ("", MsFlags::empty(), ""),
            ("bind", MsFlags::MS_BIND, ""),
            ("rbind,ro", MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_RDONLY, ""),
            ("ro,rw,nosuid", MsFlags::MS_NOSUID, ""),
            ("defaults,size=1m,noexec,uid=1000", MsFlags::MS_NOEXEC, "size=1m,uid=1000"),
        ] {
            assert_eq!(flags(given), (want, data.to_owned()), "{given}");
        }
    }

    #[test]
    fn servers_are_told_by_address() {
        let find = |host: &str| match host {
            "files" => Ok(IpAddr::from([10, 0, 0, 7])),
            _ => Err(io::Error::other("no such host")),
        };
        for (name, given, want) in [
            ("a name", local("nfs", ":/x", "addr=files,rw"), local("nfs", ":/x", "addr=10.0.0.7,rw")),
            ("an address", local("nfs", ":/x", "rw,addr=10.0.0.1"), local("nfs", ":/x", "rw,addr=10.0.0.1")),
            ("a share", local("cifs", "//files/x/y", ""), local("cifs", "//10.0.0.7/x/y", "")),
            ("a share of an address", local("cifs", "//10.1.1.1/x", ""), local("cifs", "//10.1.1.1/x", "")),
            ("another kind", local("tmpfs", "tmpfs", "addr=files"), local("tmpfs", "tmpfs", "addr=files")),
        ] {
            assert_eq!(given.with_addresses(find), Ok(want), "{name}");
        }
        let why = local("nfs", ":/x", "addr=none").with_addresses(find).unwrap_err();
        assert_eq!(why, "error resolving passed in network volume address: lookup none: no such host");
    }

    #[test]
    fn a_failure_is_told_as_docker_tells_it() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("none");
        let shown = target.display();
        // whoever runs this: what is not there comes before who may mount, or does not
        let told = local("none", "/nowhere", "bind").mount(&target).unwrap_err();
        let want = format!("failed to mount local volume: mount /nowhere:{shown}, flags: 0x1000: ");
        assert!(told.starts_with(&want), "{told}");
        let told = local("cifs", "//10.0.0.1/x", "username=u,password=secret").mount(&target).unwrap_err();
        let want = format!(
            "failed to mount local volume: mount //10.0.0.1/x:{shown}, data: username=u,password=********: "
        );
        assert!(told.starts_with(&want), "{told}");
        let long = format!("x={}", "y".repeat(PAGE));
        let told = local("tmpfs", "tmpfs", &long).mount(&target).unwrap_err();
        assert_eq!(told, "failed to mount local volume: mount options are longer than 4095 bytes");
        let told = local("tmpfs", "", "").mount(&target).unwrap_err();
        assert_eq!(told, "missing device in volume options");
    }
}

//! Whose business all other names are.

use parking_lot::Mutex;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const PORT: u16 = 53;

#[derive(Debug, Clone)]
pub enum Upstream {
    /// The `nameserver` lines of this file, as they are at the moment of the question.
    ResolvConf(PathBuf),
    Servers(Vec<SocketAddr>),
}

/// The servers as last read.
pub(crate) struct Servers {
    upstream: Upstream,
    ourselves: Vec<IpAddr>,
    read: Mutex<Option<Read>>,
}

struct Read {
    stamp: Stamp,
    servers: Arc<[SocketAddr]>,
}

/// A file that was replaced may be as old as the one before.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Servers {
    /// `ourselves` are addresses at which a question would come back to us.
    pub(crate) fn new(upstream: Upstream, ourselves: &[IpAddr]) -> Self {
        Servers { upstream, ourselves: ourselves.to_vec(), read: Mutex::new(None) }
    }

    /// In the order of the file; none where there is no file.
    pub(crate) fn current(&self) -> Arc<[SocketAddr]> {
        match &self.upstream {
            Upstream::Servers(servers) => servers.as_slice().into(),
            Upstream::ResolvConf(path) => self.follow(path),
        }
    }

    /// One stat for each forwarded question, instead of a watch that breaks when the file is replaced.
    fn follow(&self, path: &Path) -> Arc<[SocketAddr]> {
        let Some(stamp) = stamp(path) else { return Arc::new([]) };
        let mut read = self.read.lock();
        if let Some(known) = read.as_ref().filter(|known| known.stamp == stamp) {
            return known.servers.clone();
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let is_other = |server: &SocketAddr| !self.ourselves.contains(&server.ip().to_canonical());
        let servers: Arc<[SocketAddr]> = parse(&text).into_iter().filter(is_other).collect();
        tracing::info!(path = %path.display(), ?servers, "names of others are asked here");
        *read = Some(Read { stamp, servers: servers.clone() });
        servers
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: meta.modified().ok(), length: meta.len(), inode: meta.ino() })
}

/// resolv.conf(5); what is no address is passed over.
fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        address(words.next()?)
    };
    text.lines().filter_map(server).collect()
}

fn address(text: &str) -> Option<SocketAddr> {
    let Some((ip, scope)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let index = std::fs::read_to_string(format!("/sys/class/net/{scope}/ifindex")).ok();
    let index = index.as_deref().unwrap_or(scope).trim().parse().ok()?;
    Some(SocketAddrV6::new(ip.parse().ok()?, PORT, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_nameserver_lines_count() {
        let text = "# nameserver 1.1.1.1\n;nameserver 1.1.1.2\nsearch a.b\nnameserver 192.0.2.1\n\
                    nameserver\t 2001:db8::1 # home\nnameserver nonsense\nnameserver\noptions ndots:5";
        let want: Vec<SocketAddr> =
            vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(parse(text), want);
        assert_eq!(parse("nameserver fe80::1%7"), ["[fe80::1%7]:53".parse().unwrap()]);
        assert!(parse("").is_empty());
    }

    #[test]
    fn the_file_is_followed_and_our_own_addresses_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let servers = Servers::new(Upstream::ResolvConf(path.clone()), &["10.96.0.10".parse().unwrap()]);
        assert!(servers.current().is_empty(), "no file");
        let text = "nameserver 10.96.0.10\nnameserver ::ffff:10.96.0.10\nnameserver 192.0.2.1\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(servers.current().as_ref(), ["192.0.2.1:53".parse().unwrap()]);
        let other = dir.path().join("other");
        std::fs::write(&other, "nameserver 10.96.0.10\nnameserver 192.0.2.2\n").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(servers.current().as_ref(), ["192.0.2.2:53".parse().unwrap()]);
        std::fs::remove_file(&path).unwrap();
        assert!(servers.current().is_empty(), "the file is gone");
    }
}

//! The address that a pod was given last, over restarts of the daemon and of the machine. What was written of a pod that is gone
//! may still name its address; were the lowest free one given anew after each start, another pod would have it at once.
//!
//! It is not synced: after a loss of power it may be that of half a minute before.

use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The longest address and a newline, so that each record covers the one before.
const LENGTH: u64 = 16;

pub(crate) struct LastAddress(File);

impl LastAddress {
    /// With what was written before; what is no address is none.
    ///
    /// # Errors
    /// The file can not be opened or read.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<Ipv4Addr>)> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut held = Vec::new();
        (&file).take(LENGTH).read_to_end(&mut held)?;
        let address = String::from_utf8_lossy(&held).trim().parse().ok();
        Ok((LastAddress(file), address))
    }

    pub(crate) fn write(&self, address: Ipv4Addr) -> io::Result<()> {
        self.0.write_all_at(format!("{address:<15}\n").as_bytes(), 0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A file of a test's own, which goes with it.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let name = format!("monopod-net-{}-{name}", std::process::id());
            Scratch(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_last_one_written_is_read() {
        let scratch = Scratch::new("last-address");
        let (record, before) = LastAddress::open(&scratch.0).unwrap();
        assert_eq!(before, None);
        for address in ["10.244.255.254", "10.244.0.2"] {
            let address: Ipv4Addr = address.parse().unwrap();
            record.write(address).unwrap();
            assert_eq!(LastAddress::open(&scratch.0).unwrap().1, Some(address));
        }
        std::fs::write(&scratch.0, [0xff; 64]).unwrap();
        assert_eq!(LastAddress::open(&scratch.0).unwrap().1, None);
    }
}

//! Loop devices: those of a cluster, and one of a test's own, which is a disk.

use super::footprint;
use super::{Appliance, PATIENCE};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// `false`, loudly, where this machine has none.
pub fn has_loop_devices() -> bool {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/loop-control");
    if let Err(error) = &opened {
        eprintln!("SKIPPED: block volumes need loop devices: /dev/loop-control: {error}");
    }
    opened.is_ok()
}

impl Appliance {
    /// The files of volumes that are devices.
    pub fn loop_devices(&self) -> Vec<String> {
        footprint::loop_devices(&self.profile)
    }

    /// One that the machine itself looks at when it is let go, as udev does at what was written to, goes when that is over.
    pub fn until_no_loop_devices(&self) {
        let began = Instant::now();
        while !self.loop_devices().is_empty() {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.loop_devices());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Let go when it is dropped.
pub struct Disk {
    pub path: PathBuf,
}

impl Disk {
    /// Of so many bytes, which lie in that file.
    pub fn new(file: &Path, bytes: u64) -> Self {
        std::fs::File::create(file).unwrap().set_len(bytes).unwrap();
        let done = Command::new("losetup").args(["-f", "--show"]).arg(file).output().unwrap();
        assert!(done.status.success(), "losetup: {}", String::from_utf8_lossy(&done.stderr));
        Disk { path: String::from_utf8(done.stdout).unwrap().trim().into() }
    }

    /// Major and minor, with a blank between.
    pub fn number(&self) -> String {
        let name = self.path.file_name().unwrap().to_str().unwrap();
        let number = std::fs::read_to_string(format!("/sys/block/{name}/dev")).unwrap();
        number.trim().replace(':', " ")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.path).status();
    }
}

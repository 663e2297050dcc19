//! Debian's docker-registry, at an address of the test's own network.

use super::Appliance;
use std::process::{Child, Stdio};

/// A registry of its own, ended with the test.
pub struct Registry(Child);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one at the address, with these sections in its configuration, and waits until it listens.
pub fn registry(at: &Appliance, address: &str, more: &str) -> Registry {
    let directory = at.home().join("registry");
    std::fs::create_dir_all(&directory).unwrap();
    let config = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {address}\n{more}",
        directory.join("data").display()
    );
    let file = directory.join("config.yml");
    std::fs::write(&file, config).unwrap();
    let mut command = at.command("docker-registry");
    let child = command.args(["serve", file.to_str().unwrap()]).stdout(Stdio::null()).stderr(Stdio::null());
    let registry = Registry(child.spawn().unwrap());
    let began = std::time::Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(began.elapsed().as_secs() < 60, "the registry does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    registry
}

/// Puts the busybox image into the registry.
pub fn fill(at: &Appliance, address: &str, options: &str) {
    let archive = super::images::busybox(at.home(), "busybox:1", &[]);
    at.shell(&format!(
        "skopeo copy --insecure-policy {options} docker-archive:{} docker://{address}/team/busybox:1",
        archive.display()
    ))
    .ok("skopeo copy");
}

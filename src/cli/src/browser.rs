//! Opens an address on the desktop of the user who typed the command, where there is one.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Does nothing where there is no desktop: the address has been printed. Every user of the machine can read it while the program
/// runs that opens it.
pub fn open(url: &str) {
    let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !has_desktop {
        return;
    }
    let mut command = Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // a browser must not run as root because its user typed `sudo`
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        command.uid(uid).gid(gid);
    }
    let _ = command.spawn();
}

/// The id of the user who typed `sudo`, whose browser it is then. `None` where root did, or nobody: the browser may be anybody's.
pub fn user() -> Option<u32> {
    id("SUDO_UID").filter(|uid| *uid != 0)
}

fn id(name: &str) -> Option<u32> {
    std::env::var(name).ok().and_then(|id| id.parse().ok())
}

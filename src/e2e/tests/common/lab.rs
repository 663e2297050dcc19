//! The test's own network and mounts, with a second host beside it: no packet leaves the machine, and nothing stays.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::process::{Child, Command, Output, Stdio};

/// The appliance's machine, and its neighbour on the LAN (RFC 5737 addresses). The neighbour is the way to everywhere.
pub const MACHINE: &str = "203.0.113.1";
pub const NEIGHBOUR: &str = "203.0.113.2";

pub struct Lab {
    /// Keeps the neighbour's network namespace alive.
    neighbour: Child,
}

impl Lab {
    /// From now on this thread, and every process that it starts, is in a network and a mount namespace of its own.
    pub fn enter() -> Self {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        let mut neighbour = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready && exec sleep 3600"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let said = neighbour.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        let lab = Lab { neighbour };
        let pid = lab.neighbour.id();
        for line in [
            "link set lo up".to_owned(),
            format!("link add lan type veth peer name lan netns {pid}"),
            // an IPv6 address that a link gives itself changes its state by itself
            "link set lan addrgenmode none".to_owned(),
            format!("address add {MACHINE}/24 dev lan"),
            "link set lan up".to_owned(),
        ] {
            ip(&line);
        }
        for line in ["link set lo up", &format!("address add {NEIGHBOUR}/24 dev lan"), "link set lan up"] {
            let done = lab.neighbour(&[&["ip"], &line.split(' ').collect::<Vec<_>>()[..]].concat());
            assert!(done.status.success(), "{line}: {done:?}");
        }
        ip(&format!("route add default via {NEIGHBOUR}"));
        // the carrier comes a moment after both ends are up
        while !ip("-o link show lan").contains("state UP") {
            std::thread::yield_now();
        }
        lab
    }

    /// Runs a program on the other host.
    pub fn neighbour(&self, command: &[&str]) -> Output {
        let pid = self.neighbour.id().to_string();
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--net", "--target", &pid, "--"]).args(command).stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
    }
}

fn ip(arguments: &str) -> String {
    let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

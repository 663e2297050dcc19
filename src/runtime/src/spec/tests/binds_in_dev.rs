//! What is bound where a container has a device's node.

use super::*;

fn device(path: &str) -> HostDevice {
    HostDevice { path: path.into(), block: false, major: 10, minor: 200, mode: 0o666, uid: 0, gid: 0 }
}

#[test]
fn a_bind_on_a_node_is_laid_over_it() {
    // (name, privileged, targets, those that come last)
    let cases: [(&str, bool, &[&str], &[&str]); 9] = [
        ("a node that every container has", false, &["/dev/random"], &["/dev/random"]),
        ("what is no node", false, &["/dev/shm", "/dev/net/tun", "/data"], &[]),
        ("a node of a privileged container", true, &["/dev/net/tun"], &["/dev/net/tun"]),
        ("a directory of nodes", true, &["/dev/net"], &["/dev/net"]),
        ("a directory without nodes", true, &["/dev/shm", "/dev/network"], &[]),
        ("below one", true, &["/dev/net/x/y", "/dev/net"], &["/dev/net", "/dev/net/x/y"]),
        ("beside one", true, &["/dev/net", "/dev/shm"], &["/dev/net"]),
        ("all of it", false, &["/dev/shm", "/dev"], &["/dev", "/dev/shm"]),
        ("a name that begins like one", false, &["/dev/nullify", "/device"], &[]),
    ];
    for (name, privileged, targets, want) in cases {
        let container = ContainerConfig {
            privileged,
            mounts: targets.iter().map(|target| bind("/s", target)).collect(),
            ..Given::default().container
        };
        let devices = if privileged { vec![device("/dev/net/tun")] } else { Vec::new() };
        let given = Given { container, devices, ..Default::default() };
        let last = given.parts(late).unwrap();
        let last: Vec<&Path> = last.iter().map(|mount| mount.target.as_path()).collect();
        assert_eq!(last, want.iter().map(Path::new).collect::<Vec<_>>(), "{name}");
        let spec = given.build().unwrap();
        let early: Vec<&Path> = spec.mounts().iter().flatten().map(|m| m.destination().as_path()).collect();
        // the container's own are there, or came in their place
        let own = ["/dev", "/dev/shm"];
        for target in targets.iter().filter(|target| !own.contains(target)).map(Path::new) {
            assert_ne!(early.contains(&target), want.iter().any(|late| Path::new(late) == target), "{name}");
        }
    }
}

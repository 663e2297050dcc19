//! Which binds are guarded while a container is made.

use super::*;

#[test]
fn binds_with_something_inside_are_guarded() {
    let own = ["/sys/fs/cgroup/memory", "/dev/shm", "/etc/resolv.conf", "/etc/hostname"];
    let and = |asked: &[&'static str]| [&own[..], asked].concat();
    let cases: [(&str, &[(&str, &str)], &[&str], Vec<&str>); 13] = [
        ("beside each other", &[], &["/v", "/w"], vec![]),
        ("inside", &[], &["/v/x", "/v", "/vx"], vec!["/v"]),
        ("by a link of the image", &[("/link", "/v")], &["/v", "/link/x"], vec!["/v"]),
        ("in and out again", &[("/link", "/v/x/../../y")], &["/v", "/link"], vec!["/v"]),
        ("a link beside it", &[("/var/run", "/run")], &["/run", "/var/run/x", "/var/y"], vec!["/run"]),
        ("over a file of the sandbox's, which comes before", &[], &["/etc"], vec![]),
        ("one that nobody asked for", &[], &["/dev/shm/x", "/v"], vec!["/dev/shm"]),
        ("over that one", &[], &["/dev/shm", "/v"], vec![]),
        ("one that nodes are made in", &[("/null", "/dev")], &["/null", "/v"], and(&["/null", "/v"])),
        ("those that come late", &[], &["/dev", "/dev/x"], vec![]),
        // what is mounted over a link of the image may have another link there
        ("by a hidden link", &[("/l", "/v/x"), ("/v/x", "/y")], &["/v", "/l"], and(&["/v", "/l"])),
        ("by one in /dev", &[("/l", "/dev/x"), ("/dev/x", "/y")], &["/l"], and(&["/l"])),
        ("in a circle", &[("/l", "/l")], &["/v", "/l/x"], and(&["/v", "/l/x"])),
    ];
    for (name, links, targets, want) in cases {
        let source = || Some("/s".into());
        let mount = |target: &&str| Mount { source: source(), target: target.into(), ..Default::default() };
        let container = ContainerConfig { mounts: targets.iter().map(mount).collect(), ..Default::default() };
        let given = Given { container, ..Default::default() };
        let walk = |path: &Path, see: &mut dyn FnMut(&Path, bool)| {
            let link = |at: &Path| {
                let at = Path::new("/").join(at);
                let found = links.iter().find(|(link, _): &&(&str, &str)| at == Path::new(link));
                see(&at, found.is_some());
                found.map(|(_, to)| PathBuf::from(to))
            };
            ::image::follow_links(path, link).map(|inside| Path::new("/").join(inside))
        };
        let want: Vec<PathBuf> = want.iter().map(PathBuf::from).collect();
        assert_eq!(guarded(&given.build().unwrap(), walk), want, "{name}");
    }
}

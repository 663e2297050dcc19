//! What a container sees of its cgroups, and who shows it.

use super::*;

const V1: [&str; 2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"];
const V2: [&str; 1] = ["/sys/fs/cgroup"];
const OWN: &str = "monopod/burstable/pod1/c";

fn given(container: ContainerConfig, unified: bool) -> Given {
    let hierarchies: &[&str] = if unified { &V2 } else { &V1 };
    Given {
        container,
        host: Host { unified, ..host() },
        hierarchies: hierarchies.iter().map(PathBuf::from).collect(),
        shows_cgroups: true,
        ..Default::default()
    }
}

#[test]
fn a_container_sees_its_own_cgroups_where_the_user_has_nothing_else() {
    let plain = || Given::default().container;
    let with = |target: &str| ContainerConfig { mounts: vec![bind("/v", target)], ..plain() };
    let privileged = || ContainerConfig { privileged: true, ..plain() };
    let own = |hierarchy: &str| (format!("{hierarchy}/{OWN}"), hierarchy.to_owned());
    let machines = || (V2[0].to_owned(), V2[0].to_owned());
    // (name, container, only v2, what is shown, writable)
    for (name, container, unified, shown, writable) in [
        ("v1", plain(), false, V1.map(own).to_vec(), false),
        ("v2", plain(), true, V2.map(own).to_vec(), false),
        ("v2 without a namespace", privileged(), true, vec![machines()], true),
        (
            "v2, privileged with a namespace",
            ContainerConfig { cgroup_namespace: Some(true), ..privileged() },
            true,
            V2.map(own).to_vec(),
            true,
        ),
        (
            "writable",
            ContainerConfig { writable_cgroups: Some(true), ..plain() },
            true,
            V2.map(own).to_vec(),
            true,
        ),
        ("one hierarchy is the user's", with("/sys/fs/cgroup/memory"), false, vec![own(V1[1])], false),
        ("inside of one", with("/sys/fs/cgroup/memory/x"), false, vec![own(V1[1])], false),
        ("all are", with("/sys/fs/cgroup/"), false, vec![], false),
        ("all of v2 are", with("/sys/fs/cgroup"), true, vec![], false),
        ("the machine's /sys", with("/sys"), true, vec![], false),
        ("another directory", with("/sys/fs/cgroup-not"), true, V2.map(own).to_vec(), false),
    ] {
        let view = given(container, unified).parts(cgroup_view);
        let got: Vec<(String, String)> = view
            .shown
            .iter()
            .map(|(source, target)| (source.display().to_string(), target.display().to_string()))
            .collect();
        assert_eq!((got, view.writable), (shown, writable), "{name}");
    }
}

/// As init systems in containers are given them.
#[test]
fn the_machines_own_are_mounted_alone() {
    let machines = ContainerConfig { mounts: vec![bind(V2[0], V2[0])], ..Given::default().container };
    let given = Given { shows_cgroups: false, ..given(machines, false) };
    let mounts = given.build().unwrap().mounts().clone().unwrap_or_default();
    let sources =
        mounts.iter().filter(|mount| mount.destination().starts_with(V2[0])).map(|m| m.source().clone());
    assert_eq!(sources.collect::<Vec<_>>(), [Some(PathBuf::from(V2[0]))]);
}

#[test]
fn libcontainer_is_told_nothing_of_cgroups_that_the_shim_shows() {
    for (unified, mounts) in [(false, vec!["tmpfs"]), (true, vec![])] {
        let spec = given(Given::default().container, unified).build().unwrap();
        assert!(spec.linux().as_ref().unwrap().resources().is_none());
        let all = spec.mounts().clone().unwrap_or_default();
        let there = all.iter().filter(|mount| mount.destination().starts_with("/sys/fs/cgroup"));
        let kinds: Vec<_> = there.map(|mount| mount.typ().clone().unwrap_or_default()).collect();
        assert_eq!(kinds, mounts, "only v2: {unified}");
    }
}

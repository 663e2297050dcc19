//! NFS volumes by the host's own `mount`. Its helper, which distributions have in a package of its own, is here one that knows a
//! single export: a directory of this machine. What comes before and after the protocol is all real.

mod common;

use common::volumes::pod;
use common::{Appliance, appliance};
use std::os::unix::fs::PermissionsExt;

const HELPER: &str = r#"#!/bin/sh
echo "$@" >> HOME/log
case "$1" in
files.example.com:/export) exec mount --bind HOME/export "$2" ;;
esac
echo "mount.nfs: Failed to resolve server ${1%%:*}: Name or service not known" >&2
exit 32
"#;

const BY_CLAIM: &str = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: export}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  storageClassName: ''
  mountOptions: [nfsvers=4.1, soft]
  nfs: {server: files.example.com, path: /export}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: export}
spec: {accessModes: [ReadWriteMany], storageClassName: '', volumeName: export, resources: {requests: {storage: 1Gi}}}
";

/// The directories that are mounted over others; gone when it is dropped, whatever the test said.
struct Helper(String);

impl Helper {
    /// For this test's mounts alone: the machine's own directory is below.
    fn install(at: &Appliance) -> Self {
        let home = at.home().display().to_string();
        at.shell(&format!("mkdir {home}/export {home}/over && mount -t tmpfs none {home}/over"))
            .ok("a tmpfs");
        for directory in ["upper", "work"] {
            std::fs::create_dir(at.home().join("over").join(directory)).unwrap();
        }
        let program = at.home().join("over/upper/mount.nfs");
        std::fs::write(&program, HELPER.replace("HOME", &home)).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let over = format!("{home}/over");
        let layers = format!("lowerdir=$S,upperdir={over}/upper,workdir={over}/work");
        at.shell(&format!("S=$(readlink -f /sbin) && mount -t overlay -o {layers} none $S")).ok("an overlay");
        Helper(over)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let line = format!("umount -l $(readlink -f /sbin) {}", self.0);
        let _ = std::process::Command::new("sh").args(["-c", &line]).status();
    }
}

#[test]
fn an_export_is_mounted_for_each_pod_and_let_go_with_it() {
    let Some(at) = appliance("nfs") else { return };
    at.load_busybox();
    let _helper = Helper::install(&at);
    at.kubectl_with(&["create"], BY_CLAIM).ok("volume and claim");
    at.kubectl_with(&["create"], &pod("writer", "persistentVolumeClaim: {claimName: export}")).ok("writer");
    let inline = "nfs: {server: files.example.com, path: /export, readOnly: true}";
    at.kubectl_with(&["create"], &pod("reader", inline)).ok("reader");
    at.kubectl(&["wait", "--for=condition=ready", "pod/writer", "pod/reader", "--timeout=60s"]).ok("pods");
    at.kubectl(&["exec", "writer", "--", "sh", "-c", "echo kept > /data/file"]).ok("write");
    assert_eq!(at.kubectl(&["exec", "reader", "--", "cat", "/data/file"]).ok("read"), "kept\n");
    let refused = at.kubectl(&["exec", "reader", "--", "touch", "/data/other"]).refused("a write");
    assert!(refused.contains("Read-only file system"), "{refused}");
    let log = std::fs::read_to_string(at.home().join("log")).unwrap();
    let asked = |options: &str| {
        let place = format!("/volumes/kubernetes.io~nfs/v -o {options}");
        let mut lines = log.lines();
        assert!(
            lines.any(|l| l.starts_with("files.example.com:/export /") && l.ends_with(&place)),
            "{place} in {log}"
        );
    };
    asked("rw,nfsvers=4.1,soft");
    asked("ro");

    // what the helper says is what the user is told
    let unknown = "nfs: {server: nobody.example.com, path: /export}";
    at.kubectl_with(&["create"], &pod("waits", unknown)).ok("waits");
    let messages = [
        "get",
        "events",
        "--field-selector=involvedObject.name=waits,reason=FailedMount",
        "-o",
        "jsonpath={.items[*].message}",
    ];
    at.until_told(&messages, "Output: mount.nfs: Failed to resolve server nobody.example.com");

    at.kubectl(&["delete", "pod", "writer", "reader", "waits"]).ok("delete");
    let gone =
        "for i in $(seq 600); do grep kubernetes.io~nfs /proc/self/mounts || exit 0; sleep 0.1; done; exit 1";
    at.shell(gone).ok("no mount is left");
    assert_eq!(std::fs::read_to_string(at.home().join("export/file")).unwrap(), "kept\n");
}

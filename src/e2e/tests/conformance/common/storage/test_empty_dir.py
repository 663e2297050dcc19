"""Modes, owners and sharing of emptyDirs."""

import pytest
from support import BUSYBOX, STAY, conforms, with_volumes

TMPFS = {"medium": "Memory"}
IS_TMPFS = "grep -c ' /volume tmpfs ' /proc/mounts || true"


@pytest.mark.parametrize(
    ("user", "mode", "medium"),
    [
        pytest.param(user, mode, medium, marks=conforms(line))
        for user, mode, medium, line in [
            (0, "644", {}, "[sig-storage] EmptyDir volumes should support (root,0644,default) [LinuxOnly] [NodeConformance]"),
            (0, "666", {}, "[sig-storage] EmptyDir volumes should support (root,0666,default) [LinuxOnly] [NodeConformance]"),
            (0, "777", {}, "[sig-storage] EmptyDir volumes should support (root,0777,default) [LinuxOnly] [NodeConformance]"),
            (0, "644", TMPFS, "[sig-storage] EmptyDir volumes should support (root,0644,tmpfs) [LinuxOnly] [NodeConformance]"),
            (0, "666", TMPFS, "[sig-storage] EmptyDir volumes should support (root,0666,tmpfs) [LinuxOnly] [NodeConformance]"),
            (0, "777", TMPFS, "[sig-storage] EmptyDir volumes should support (root,0777,tmpfs) [LinuxOnly] [NodeConformance]"),
            (1001, "644", {}, "[sig-storage] EmptyDir volumes should support (non-root,0644,default) [LinuxOnly] [NodeConformance]"),
            (1001, "666", {}, "[sig-storage] EmptyDir volumes should support (non-root,0666,default) [LinuxOnly] [NodeConformance]"),
            (1001, "777", {}, "[sig-storage] EmptyDir volumes should support (non-root,0777,default) [LinuxOnly] [NodeConformance]"),
            (1001, "644", TMPFS, "[sig-storage] EmptyDir volumes should support (non-root,0644,tmpfs) [LinuxOnly] [NodeConformance]"),
            (1001, "666", TMPFS, "[sig-storage] EmptyDir volumes should support (non-root,0666,tmpfs) [LinuxOnly] [NodeConformance]"),
            (1001, "777", TMPFS, "[sig-storage] EmptyDir volumes should support (non-root,0777,tmpfs) [LinuxOnly] [NodeConformance]"),
        ]
    ],
)
def test_file(ns, user, mode, medium):
    command = f"cd /volume; echo content > file && chmod {mode} file && stat -c '%a %u' file && cat file; {IS_TMPFS}"
    said = ns.output(command, **with_volumes({"volume": {"emptyDir": medium}}, securityContext={"runAsUser": user}))
    permissions, content, tmpfs = said.splitlines()
    assert (permissions, content) == (f"{mode} {user}", "content")
    assert tmpfs == "1" or not medium


@pytest.mark.parametrize(
    "medium",
    [
        pytest.param({}, marks=conforms("[sig-storage] EmptyDir volumes volume on default medium should have the correct mode [LinuxOnly] [NodeConformance]")),
        pytest.param(TMPFS, marks=conforms("[sig-storage] EmptyDir volumes volume on tmpfs should have the correct mode [LinuxOnly] [NodeConformance]")),
    ],
)
def test_mode(ns, medium):
    mode, tmpfs = ns.output(f"stat -c %a /volume; {IS_TMPFS}", **with_volumes({"volume": {"emptyDir": medium}})).split()
    assert mode == "777"
    assert tmpfs == "1" or not medium


@conforms("[sig-storage] EmptyDir volumes pod should support shared volumes between containers")
def test_shared(ns):
    def container(name, command):
        mount = [{"name": "volume", "mountPath": f"/of-{name}"}]
        return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", command], "volumeMounts": mount}

    reader = container("reader", STAY)
    writer = container("writer", f"echo hello > /of-writer/file; {STAY}")
    spec = {"containers": [reader, writer], "volumes": [{"name": "volume", "emptyDir": {"medium": "Memory"}}]}
    ns.cluster.post(ns.path("pods"), {"metadata": {"name": "pod"}, "spec": spec}).ok()
    ns.until_ready("pod")
    assert ns.exec("pod", "until cat /of-reader/file 2>/dev/null; do sleep 0.1; done", "reader") == "hello\n"

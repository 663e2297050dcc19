"""Images as volumes: pulled, read, never written, and never run."""

import pytest
from registry import Registry
from support import BUSYBOX, conforms


@pytest.fixture(scope="module")
def registry():
    registry = Registry()
    yield registry
    registry.server.shutdown()


def volume(image, policy):
    return {"volumes": [{"name": "data", "image": {"reference": image, "pullPolicy": policy}}]}


def container(**mount):
    return {"volumeMounts": [{"name": "data", "mountPath": "/data", **mount}]}


@conforms("[sig-node] ImageVolume should succeed with pod and pull policy of Always [LinuxOnly] [MinimumKubeletVersion:1.35]")
def test_pulled(ns, registry):
    image = registry.put("files", {"dir/file": "2", "file": "1"})
    spec = volume(image, "Always")
    ns.pod("sleep 1000", container=container(), **spec)
    ns.until_ready("pod")
    assert ns.exec("pod", "cat /data/file /data/dir/file") == "12"
    assert "Read-only file system" in ns.exec("pod", "echo x > /data/file")
    # again, by a pod of its own
    before = len(registry.pulls)
    assert ns.output("cat /data/dir/file", "again", container=container(), **spec) == "2"
    assert len(registry.pulls) > before
    # a part, in a place that its variables say
    part = container(subPathExpr="$(PART)") | {"env": [{"name": "PART", "value": "dir"}]}
    assert ns.output("ls /data", "part", container=part, **spec) == "file\n"


def test_never_pulled(ns, registry):
    image = registry.put("never", {"file": "1"})
    ns.pod("true", container=container(), **volume(image, "Never"))

    def waits(pod):
        states = [it.get("state", {}).get("waiting", {}) for it in pod["status"].get("containerStatuses", [])]
        return [it["reason"] for it in states if it] == ["ErrImageNeverPull"]

    ns.until("pods/pod", waits)


def test_own_programs_do_not_run(ns):
    said = ns.output("/data/bin/busybox true; echo $?", container=container(), **volume(BUSYBOX, "IfNotPresent"))
    # what the shell says comes on the other stream, sooner or later than its code
    assert "126" in said.splitlines(), said

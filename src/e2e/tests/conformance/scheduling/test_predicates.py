"""Why the scheduler takes a node or not. What fills a node has one of its own, without kubelet."""

from contextlib import contextmanager

import pytest
from support import conforms, name, until


@contextmanager
def fake_node(cluster, allocatable):
    """A node that only those find who ask for its label and tolerate its taint; yields its name, which both have."""
    called = name("fake")
    taints = [{"key": called, "effect": "NoSchedule"}]
    cluster.post("/api/v1/nodes", {"metadata": {"name": called, "labels": {called: "yes"}}, "spec": {"taints": taints}}).ok()
    try:
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        amounts = {"pods": "10", **allocatable}
        status = {"conditions": conditions, "capacity": amounts, "allocatable": amounts}
        cluster.patch(f"/api/v1/nodes/{called}/status", {"status": status}).ok()
        # a new node has one more until its first conditions are seen
        until(lambda: cluster.get(f"/api/v1/nodes/{called}").ok()["spec"]["taints"] == taints, f"{called} has no other taint")
        yield called
    finally:
        cluster.delete(f"/api/v1/nodes/{called}")


def until_refused(ns, pod, *words):
    """Waits until the scheduler has said why there is no node."""

    def refused(it):
        conditions = it["status"].get("conditions", [])
        return [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False" and c["reason"] == "Unschedulable"]

    (said,) = refused(ns.until(f"pods/{pod}", refused))
    for word in words:
        assert word in said["message"]
    events = "events?fieldSelector=reason%3DFailedScheduling,involvedObject.name%3D" + pod
    assert words[0] in ns.until(events, lambda it: it["items"])["items"][0]["message"]
    assert not ns.get(f"pods/{pod}")["spec"].get("nodeName")


def until_bound(ns, pod, node):
    ns.until(f"pods/{pod}", lambda it: it["spec"].get("nodeName") == node)


@conforms("[sig-scheduling] SchedulerPredicates [Serial] validates resource limits of pods that are allowed to run")
def test_resources(ns, cluster):
    with fake_node(cluster, {"cpu": "1", "memory": "1Gi"}) as node:

        def pod(called, cpu):
            resources = {"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}
            ns.pod(name_=called, container=resources, nodeSelector={node: "yes"}, tolerations=[{"key": node}])

        pod("filler", "700m")
        until_bound(ns, "filler", node)
        pod("additional", "500m")
        until_refused(ns, "additional", "Insufficient cpu")
        pod("small", "300m")
        until_bound(ns, "small", node)
        cluster.delete(ns.path("pods/filler")).ok()
        until_bound(ns, "additional", node)


@pytest.fixture
def node(cluster):
    """The name of the machine's own node."""
    return next(it for it in cluster.get("/api/v1/nodes").ok()["items"] if it["status"].get("addresses"))["metadata"]["name"]


@conforms("[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if matching")
def test_matching_selector(ns, cluster, node):
    label = name("label")
    cluster.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {label: "42"}}}).ok()
    try:
        ns.pod("sleep 100000", nodeSelector={label: "42"})
        assert ns.until_phase("pod", "Running")["spec"]["nodeName"] == node
    finally:
        cluster.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {label: None}}}).ok()


@conforms("[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if not matching")
def test_other_selector(ns):
    ns.pod("sleep 100000", nodeSelector={"label": "nonempty"})
    until_refused(ns, "pod", "node(s) didn't match Pod's node affinity/selector", "0/")


@conforms(
    "[sig-scheduling] SchedulerPredicates [Serial] validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP"
)
def test_host_port(ns, cluster, node):
    selector = cluster.get(f"/api/v1/nodes/{node}").ok()["metadata"]["labels"]["kubernetes.io/hostname"]
    for called, address in (("everywhere", "0.0.0.0"), ("here", "203.0.113.1")):
        port = {"containerPort": 8080, "hostPort": 54322, "hostIP": address, "protocol": "TCP"}
        ns.pod("sleep 100000", called, container={"ports": [port]}, nodeSelector={"kubernetes.io/hostname": selector})
        if called == "everywhere":
            ns.until_phase(called, "Running")
    until_refused(ns, "here", "node(s) didn't have free ports for the requested pod ports")

"""Taints that drive pods away, on a node of the case's own."""

import time

import pytest
from support import BUSYBOX, conforms, name, until

TAINT = {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"}


@pytest.fixture
def node(cluster):
    made = name("fake")
    body = {"metadata": {"name": made}, "spec": {"unschedulable": True}}
    path = f"/api/v1/nodes/{made}"
    cluster.post("/api/v1/nodes", body).ok()
    yield path
    cluster.delete(path)


def taint(cluster, path, *taints):
    def tainted():
        found = cluster.get(path).ok()
        # others are those of the node's own health
        found["spec"]["taints"] = [it for it in found["spec"].get("taints", []) if it["key"] != TAINT["key"]] + list(taints)
        answer = cluster.put(path, found)
        return answer.status != 409 and answer.ok()

    until(tainted, "the taint")


def pod(ns, node, name_, seconds=None):
    """A pod on the node that tolerates the taint for some seconds, and all others for ever."""
    tolerations = [{"key": f"node.kubernetes.io/{it}", "operator": "Exists"} for it in ["not-ready", "unreachable", "unschedulable"]]
    if seconds is not None:
        tolerations.append({**TAINT, "operator": "Equal", "tolerationSeconds": seconds})
    spec = {"nodeName": node.split("/")[-1], "containers": [{"name": "main", "image": BUSYBOX}], "tolerations": tolerations}
    ns.cluster.post(ns.path("pods"), {"metadata": {"name": name_}, "spec": spec}).ok()


def evicted(ns, name):
    found = ns.cluster.get(ns.path(f"pods/{name}"))
    return found.status == 404 or "deletionTimestamp" in found.json["metadata"]


def empty(ns):
    """There is no kubelet that would end them, and no namespace ends with pods in it."""
    for it in ns.get("pods")["items"]:
        ns.cluster.delete(ns.path(f"pods/{it['metadata']['name']}"), {"gracePeriodSeconds": 0})


@conforms("[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive]")
def test_cancelled(ns, node):
    # long enough for the taint to go again before
    pod(ns, node, "tolerates", 6)
    pod(ns, node, "witness")
    taint(ns.cluster, node, TAINT)
    until(lambda: evicted(ns, "witness"), "the taint is seen")
    seen = time.monotonic()
    taint(ns.cluster, node)
    time.sleep(max(0, seen + 6.5 - time.monotonic()))
    assert not evicted(ns, "tolerates")
    empty(ns)


@conforms("[sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds [Disruptive]")
def test_seconds(ns, node):
    pod(ns, node, "five", 5)
    pod(ns, node, "hundred", 100)
    pod(ns, node, "witness")
    taint(ns.cluster, node, TAINT)
    until(lambda: evicted(ns, "witness"), "the taint is seen")
    assert not evicted(ns, "five")
    until(lambda: evicted(ns, "five"), "its seconds are over")
    assert not evicted(ns, "hundred")
    condition = next(it for it in ns.get("pods/five")["status"]["conditions"] if it["type"] == "DisruptionTarget")
    assert (condition["status"], condition["reason"]) == ("True", "DeletionByTaintManager")
    empty(ns)

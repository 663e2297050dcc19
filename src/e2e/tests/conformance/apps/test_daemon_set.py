"""DaemonSets: a pod on each node that is chosen, updates and status."""

from contextlib import contextmanager

import pytest
from support import conforms, name, status_operations, template, until

GROUP = "apps/v1"
LABELS = {"app": "each"}


def daemon_set(ns, selector, name_="each", labels=None, container=None, **spec):
    pods = template(LABELS, container=container, nodeSelector=selector, tolerations=[{"key": "fake"}])
    spec = {"selector": {"matchLabels": LABELS}, "template": pods, **spec}
    return ns.create("daemonsets", {"metadata": {"name": name_, "labels": labels or {}}, "spec": spec}, GROUP)


def until_ready(ns, number=1):
    def ready(it):
        status = it.get("status", {})
        seen = status.get("observedGeneration") == it["metadata"]["generation"]
        return seen and status["desiredNumberScheduled"] == status["numberReady"] == status.get("updatedNumberScheduled", 0) == number

    return ns.until("daemonsets/each", ready, GROUP)


@pytest.fixture
def node(cluster):
    return next(it for it in cluster.get("/api/v1/nodes").ok()["items"] if "fake" not in it["metadata"]["labels"])["metadata"]


@pytest.fixture
def selector(node):
    return {"kubernetes.io/hostname": node["labels"]["kubernetes.io/hostname"]}


@conforms("[sig-apps] Daemon set [Serial] should run and stop simple daemon")
def test_simple(ns, cluster, selector, node):
    daemon_set(ns, selector)
    until_ready(ns)
    pod = ns.pods()[0]
    assert pod["spec"]["nodeName"] == node["name"]
    cluster.delete(ns.path(f"pods/{pod['metadata']['name']}")).ok()
    until(lambda: [it for it in ns.pods() if it["metadata"]["uid"] != pod["metadata"]["uid"]], "another pod")
    until(lambda: [it["status"]["phase"] for it in ns.pods()] == ["Running"], "it runs")
    cluster.delete(ns.path("daemonsets/each", GROUP)).ok()
    until(lambda: not ns.pods(), "its pods go with it")


@conforms("[sig-apps] Daemon set [Serial] should run and stop complex daemon")
def test_complex(ns, cluster, node):
    colour = name("colour")
    at = f"/api/v1/nodes/{node['name']}"

    def paint(value):
        cluster.patch(at, {"metadata": {"labels": {colour: value}}}).ok()

    daemon_set(ns, {colour: "blue"}, updateStrategy={"type": "RollingUpdate"})
    until_ready(ns, 0)
    assert not ns.pods()
    try:
        paint("blue")
        until_ready(ns, 1)
        paint("green")
        until(lambda: not ns.pods(), "no pod is left")
        until_ready(ns, 0)
        cluster.patch(ns.path("daemonsets/each", GROUP), {"spec": {"template": {"spec": {"nodeSelector": {colour: "green"}}}}}).ok()
        until_ready(ns, 1)
        assert ns.pods()[0]["spec"]["nodeSelector"] == {colour: "green"}
    finally:
        paint(None)


@conforms("[sig-apps] Daemon set [Serial] should retry creating failed daemon pods")
def test_failed(ns, cluster, selector):
    daemon_set(ns, selector)
    until_ready(ns)
    pod = ns.pods()[0]["metadata"]
    cluster.patch(ns.path(f"pods/{pod['name']}/status"), {"status": {"phase": "Failed"}}).ok()
    ns.until_gone(f"pods/{pod['name']}")
    until(lambda: [it for it in ns.pods() if it["metadata"]["uid"] != pod["uid"] and it["status"]["phase"] == "Running"], "another pod")


@conforms("[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate")
def test_rolling_update(ns, cluster, selector):
    daemon_set(ns, selector, updateStrategy={"type": "RollingUpdate"})
    until_ready(ns)
    hash_ = ns.pods()[0]["metadata"]["labels"]["controller-revision-hash"]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "command": ["sleep", "5000"]}]}}}}
    cluster.patch(ns.path("daemonsets/each", GROUP), patch, kind="strategic-merge").ok()
    until_ready(ns)
    pod = ns.pods()[0]
    assert pod["spec"]["containers"][0]["command"] == ["sleep", "5000"]
    assert pod["metadata"]["labels"]["controller-revision-hash"] != hash_
    history = ns.get("controllerrevisions", GROUP)["items"]
    assert sorted(it["revision"] for it in history) == [1, 2]
    assert {it["metadata"]["labels"]["controller-revision-hash"] for it in history} == {
        hash_, pod["metadata"]["labels"]["controller-revision-hash"]
    }


@contextmanager
def fake_nodes(cluster, number):
    """Nodes without a kubelet, that have a label and a taint, so that no other case's pods go there; yields the label."""
    label = name("fake")
    made = [f"{label}-{it}" for it in range(number)]
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    try:
        for it in made:
            taints = [{"key": "fake", "effect": "NoSchedule"}]
            metadata = {"name": it, "labels": {label: "yes", "fake": "yes"}}
            cluster.post("/api/v1/nodes", {"metadata": metadata, "spec": {"taints": taints}}).ok()
            status = {"conditions": conditions, "allocatable": {"pods": "10"}, "capacity": {"pods": "10"}}
            cluster.patch(f"/api/v1/nodes/{it}/status", {"status": status}).ok()
        # a new node has one more until its first conditions are seen
        for it in made:
            until(lambda it=it: cluster.get(f"/api/v1/nodes/{it}").ok()["spec"]["taints"] == taints, f"{it} has no other taint")
        yield label
    finally:
        for it in made:
            cluster.delete(f"/api/v1/nodes/{it}")


@conforms("[sig-apps] Daemon set [Serial] should rollback without unnecessary restarts")
def test_rollback(ns, cluster):
    def be_ready(pod):
        now = pod["metadata"]["creationTimestamp"]
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("Initialized", "ContainersReady", "Ready")]
        status = {"phase": "Running", "conditions": conditions}
        cluster.patch(ns.path(f"pods/{pod['metadata']['name']}/status"), {"status": status}, kind="strategic-merge").ok()

    def images():
        return sorted(it["spec"]["containers"][0]["image"] for it in ns.pods() if it["spec"].get("nodeName"))

    def use(image):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
        cluster.patch(ns.path("daemonsets/each", GROUP), patch, kind="strategic-merge").ok()

    with fake_nodes(cluster, 2) as label:
        daemon_set(ns, {label: "yes"}, updateStrategy={"type": "RollingUpdate"})
        until(lambda: images() == ["busybox:1", "busybox:1"], "two pods")
        for pod in ns.pods():
            be_ready(pod)
        until_ready(ns, 2)
        first = {it["metadata"]["uid"] for it in ns.pods()}

        use("missing:1")
        until(lambda: images() == ["busybox:1", "missing:1"], "one is replaced, and never ready")
        kept = first & {it["metadata"]["uid"] for it in ns.pods()}
        assert len(kept) == 1
        use("busybox:1")
        until(lambda: images() == ["busybox:1", "busybox:1"], "the one is replaced again")
        for pod in ns.pods():
            be_ready(pod)
        until_ready(ns, 2)
        assert kept < {it["metadata"]["uid"] for it in ns.pods()}, "what was right is not restarted"
        assert sorted(it["revision"] for it in ns.get("controllerrevisions", GROUP)["items"]) == [2, 3]
        cluster.delete(ns.path("daemonsets/each", GROUP)).ok()
        until(lambda: not ns.pods(), "the pods are gone")


@conforms("[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets")
def test_collection(ns, cluster, selector):
    case = name("sets")
    daemon_set(ns, selector, labels={"case": case})
    until_ready(ns)
    everywhere = f"/apis/apps/v1/daemonsets?labelSelector=case%3D{case}"
    assert [it["metadata"]["name"] for it in cluster.get(everywhere).ok()["items"]] == ["each"]
    cluster.delete(ns.path(f"daemonsets?labelSelector=case%3D{case}", GROUP)).ok()
    until(lambda: not cluster.get(everywhere).ok()["items"], "none is left")
    until(lambda: not ns.pods(), "its pods go with it")


@conforms("[sig-apps] Daemon set [Serial] should verify changes to a daemon set status")
def test_status(ns, selector):
    daemon_set(ns, selector)
    until_ready(ns)
    status_operations(ns, "daemonsets/each", GROUP)

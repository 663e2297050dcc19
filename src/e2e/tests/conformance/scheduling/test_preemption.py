"""Pods give way to those of higher priority. They compete for a resource that only the case knows."""

from contextlib import contextmanager

import pytest
from support import condition, conforms, edit, name, template, until

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


@contextmanager
def resource(cluster, number):
    """So many of a thing that the machine's own node has until the end; yields its name."""
    called = f"example.com/{name('thing')}"
    node = next(it for it in cluster.get("/api/v1/nodes").ok()["items"] if it["status"].get("addresses"))["metadata"]["name"]
    path = f"/api/v1/nodes/{node}/status"

    def has(amount):
        assert cluster.patch(path, {"status": {"capacity": {called: amount}}}).ok()
        # the kubelet tells how much of it is for pods
        until(lambda: (called in cluster.get(path).ok()["status"]["allocatable"]) == bool(amount), f"pods have {amount} of {called}")

    has(str(number))
    try:
        yield called
    finally:
        has(None)


@pytest.fixture
def classes(cluster):
    """Makes priority classes; returns their names."""
    made = []

    def make(*values):
        for value in values:
            made.append(cluster.post(CLASSES, {"metadata": {"name": name("priority")}, "value": value}).ok()["metadata"]["name"])
        return made

    yield make
    for it in made:
        cluster.delete(f"{CLASSES}/{it}")


def wanting(thing, number):
    return {"resources": {"requests": {thing: str(number)}, "limits": {thing: str(number)}}}


def run(ns, called, thing, number, priority, **more):
    ns.pod("sleep 100000", called, container=wanting(thing, number), priorityClassName=priority, **more)


@conforms("[sig-scheduling] SchedulerPreemption [Serial] validates basic preemption works")
def test_basic(ns, cluster, classes):
    low, medium, high = classes(1, 100, 1000)
    with resource(cluster, 5) as thing:
        run(ns, "low", thing, 2, low)
        run(ns, "medium", thing, 3, medium)
        for pod in ("low", "medium"):
            ns.until_phase(pod, "Running")
        run(ns, "high", thing, 2, high)
        assert ns.until_phase("high", "Running")["spec"]["priority"] == 1000
        ns.until_gone("pods/low")
        assert "deletionTimestamp" not in ns.get("pods/medium")["metadata"]


@conforms("[sig-scheduling] SchedulerPreemption [Serial] validates lower priority pod preemption by critical pod")
def test_critical(ns, cluster, classes):
    low, medium = classes(1, 100)
    critical = name("critical")
    with resource(cluster, 5) as thing:
        run(ns, "low", thing, 2, low)
        run(ns, "medium", thing, 3, medium)
        for pod in ("low", "medium"):
            ns.until_phase(pod, "Running")
        container = {"name": "main", "image": "busybox:1", "command": ["sleep", "100000"], **wanting(thing, 2)}
        spec = {"containers": [container], "priorityClassName": "system-cluster-critical", "terminationGracePeriodSeconds": 0}
        path = f"/api/v1/namespaces/kube-system/pods/{critical}"
        try:
            cluster.post("/api/v1/namespaces/kube-system/pods", {"metadata": {"name": critical}, "spec": spec}).ok()
            until(lambda: cluster.get(path).ok()["status"]["phase"] == "Running", "the critical pod runs")
            assert cluster.get(path).ok()["spec"]["priority"] == 2000000000
            ns.until_gone("pods/low")
            assert "deletionTimestamp" not in ns.get("pods/medium")["metadata"]
        finally:
            cluster.delete(path)


@conforms("[sig-scheduling] SchedulerPreemption [Serial] validates pod disruption condition is added to the preempted pod")
def test_condition(ns, cluster, classes):
    low, high = classes(1, 1000)
    with resource(cluster, 1) as thing:
        run(ns, "victim", thing, 1, low, metadata={"finalizers": ["example.com/kept"]})
        try:
            ns.until_phase("victim", "Running")
            run(ns, "high", thing, 1, high)
            victim = ns.until("pods/victim", lambda it: it["metadata"].get("deletionTimestamp"))
            said = next(it for it in victim["status"]["conditions"] if it["type"] == "DisruptionTarget")
            assert (said["status"], said["reason"]) == ("True", "PreemptionByScheduler")
            assert "preempting to accommodate a higher priority pod" in said["message"]
        finally:
            edit(ns, "pods/victim", "v1", lambda it: it["metadata"].update(finalizers=[]))
        ns.until_phase("high", "Running")


@conforms("[sig-scheduling] SchedulerPreemption [Serial] PreemptionExecutionPath runs ReplicaSets to verify preemption running path")
def test_replica_sets(ns, cluster, classes):
    priorities = classes(1, 2, 3, 4)
    with resource(cluster, 1000) as thing:
        at = ns.get("pods")["metadata"]["resourceVersion"]
        for number, wanted in enumerate((200, 300, 450, 500)):
            labels = {"set": f"rs-{number + 1}"}
            pods = template(labels, container=wanting(thing, wanted), priorityClassName=priorities[number])
            spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pods}
            ns.create("replicasets", {"metadata": {"name": labels["set"]}, "spec": spec}, "apps/v1")
            ns.until(f"replicasets/rs-{number + 1}", lambda it: it.get("status", {}).get("readyReplicas") == 1, "apps/v1")

        # the two lowest gave way, and were made anew in vain
        def made(events):
            seen = [pod["metadata"]["labels"]["set"] for kind, pod in events if kind == "ADDED"]
            return seen if seen.count("rs-1") == 2 and seen.count("rs-2") == 2 else None

        events = cluster.watch(ns.path("pods"), made, resourceVersion=at)
        assert sorted(made(events)) == ["rs-1", "rs-1", "rs-2", "rs-2", "rs-3", "rs-4"]
        waiting = until(lambda: [it for it in ns.pods() if condition(it, "PodScheduled") == "False"], "some wait")
        assert {it["metadata"]["labels"]["set"] for it in waiting} <= {"rs-1", "rs-2"}
        # a set's status follows a moment after the pods that it has made
        for number, ready in ((1, 0), (2, 0), (3, 1), (4, 1)):
            ns.until(f"replicasets/rs-{number}", lambda it, ready=ready: it["status"].get("readyReplicas", 0) == ready, "apps/v1")


@conforms(
    "[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods"
)
def test_classes(cluster, classes):
    for called, value in zip(classes(1, 2), (1, 2), strict=True):
        path = f"{CLASSES}/{called}"
        made = cluster.get(path).ok()
        assert made["value"] == value and made["preemptionPolicy"] == "PreemptLowerPriority"
        for changed in (cluster.put(path, {**made, "value": value * 10}), cluster.patch(path, {"value": value * 10})):
            assert "may not be changed in an update." in changed.refused(422, "value")["message"]
        assert cluster.put(path, {**made, "description": "updated"}).ok()["description"] == "updated"
        assert cluster.patch(path, {"description": "patched"}).ok()["description"] == "patched"
        assert cluster.get(path).ok()["value"] == value
    assert {it["metadata"]["name"] for it in cluster.get(CLASSES).ok()["items"]} >= {"system-cluster-critical", "system-node-critical"}

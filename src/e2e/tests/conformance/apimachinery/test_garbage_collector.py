"""Whom the garbage collector takes when an owner goes."""

import time

import pytest
from support import BUSYBOX, conforms, until

ORPHAN, BACKGROUND, FOREGROUND = ({"propagationPolicy": policy} for policy in ("Orphan", "Background", "Foreground"))


def template(label):
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "1000"]}
    # whether they run does not matter here
    spec = {"containers": [container], "nodeSelector": {"no": "node"}, "terminationGracePeriodSeconds": 0}
    return {"metadata": {"labels": label}, "spec": spec}


def controller(ns, named="rc", replicas=2):
    """A replication controller with all its pods; gives its path."""
    label = {"app": named}
    spec = {"replicas": replicas, "selector": label, "template": template(label)}
    ns.cluster.post(ns.path("replicationcontrollers"), {"metadata": {"name": named}, "spec": spec}).ok()
    path = ns.path(f"replicationcontrollers/{named}")
    until(lambda: ns.cluster.get(path).ok()["status"]["replicas"] == replicas, "the pods are made")
    return path


def pods(ns):
    return ns.get("pods")["items"]


def never(seen, what):
    """Looks for a while whether something happens that must not."""
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        assert not seen(), what
        time.sleep(0.1)


@conforms("[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning")
def test_background(cluster, ns):
    path = controller(ns)
    cluster.delete(path, BACKGROUND).ok()
    assert cluster.get(path).status == 404
    until(lambda: pods(ns) == [], "the pods are gone")


@conforms("[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so [Serial]")
def test_orphan(cluster, ns):
    path = controller(ns, replicas=10)
    cluster.delete(path, ORPHAN).ok()
    until(lambda: cluster.get(path).status == 404, "the controller is gone")
    never(lambda: len(pods(ns)) != 10, "a pod went")
    until(lambda: not any(it["metadata"].get("ownerReferences") for it in pods(ns)), "nobody owns the pods")


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        pytest.param(
            BACKGROUND, 0,
            marks=conforms("[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning"),
        ),
        pytest.param(
            ORPHAN, 1,
            marks=conforms(
                "[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan"
            ),
        ),
    ],
)
def test_deployment(cluster, ns, options, kept):
    label = {"app": "x"}
    spec = {"replicas": 1, "selector": {"matchLabels": label}, "template": template(label)}
    path = ns.path("deployments/web", "apps/v1")
    cluster.post(ns.path("deployments", "apps/v1"), {"metadata": {"name": "web"}, "spec": spec}).ok()

    def sets():
        return ns.get("replicasets", "apps/v1")["items"]

    until(sets, "the replica set")
    cluster.delete(path, options).ok()
    until(lambda: cluster.get(path).status == 404, "the deployment is gone")
    if kept:
        never(lambda: len(sets()) != 1, "the replica set went")
        assert "ownerReferences" not in sets()[0]["metadata"]
    else:
        until(lambda: sets() == [], "the replica set is gone")


@conforms(
    "[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so [Serial]"
)
def test_foreground(cluster, ns):
    path = controller(ns)
    for pod in pods(ns):
        cluster.patch(ns.path(f"pods/{pod['metadata']['name']}"), {"metadata": {"finalizers": ["example.com/held"]}}).ok()
    shown = cluster.delete(path, FOREGROUND).ok()
    assert shown["metadata"]["finalizers"] == ["foregroundDeletion"] and "deletionTimestamp" in shown["metadata"]
    until(lambda: all("deletionTimestamp" in it["metadata"] for it in pods(ns)), "the pods are deleted")
    first, second = (ns.path(f"pods/{it['metadata']['name']}") for it in pods(ns))
    free = {"metadata": {"finalizers": None}}
    cluster.patch(first, free).ok()
    until(lambda: len(pods(ns)) == 1, "the first pod is gone")
    never(lambda: cluster.get(path).status == 404, "the controller went before its pods")
    cluster.patch(second, free).ok()
    until(lambda: cluster.get(path).status == 404, "the controller is gone")
    assert pods(ns) == []


@conforms(
    "[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Serial]"
)
def test_two_owners(cluster, ns):
    going, staying = controller(ns, "going", 4), controller(ns, "staying", 0)
    owner = cluster.get(staying).ok()
    reference = {"apiVersion": "v1", "kind": "ReplicationController", "name": "staying", "uid": owner["metadata"]["uid"]}
    both = [it["metadata"]["name"] for it in pods(ns)][:2]
    for named in both:
        add = [{"op": "add", "path": "/metadata/ownerReferences/-", "value": reference}]
        cluster.patch(ns.path(f"pods/{named}"), add, kind="json").ok()
    cluster.delete(going, FOREGROUND).ok()
    until(lambda: cluster.get(going).status == 404, "the one owner is gone")
    assert {it["metadata"]["name"] for it in pods(ns)} == set(both)
    assert all("deletionTimestamp" not in it["metadata"] for it in pods(ns))
    # the owner that is gone is no owner any more
    assert all([it["name"] for it in shown["metadata"]["ownerReferences"]] == ["staying"] for shown in pods(ns))


@conforms("[sig-api-machinery] Garbage collector should not be blocked by dependency circle")
def test_circle(cluster, ns):
    names = ["pod1", "pod2", "pod3"]
    uids = {}
    for named in names:
        ns.pod("sleep 1000", named, nodeSelector={"no": "node"})
        uids[named] = ns.get(f"pods/{named}")["metadata"]["uid"]
    for named, owner in zip(names, [names[2], *names[:2]], strict=True):
        reference = {"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": uids[owner], "controller": True, "blockOwnerDeletion": True}
        cluster.patch(ns.path(f"pods/{named}"), {"metadata": {"ownerReferences": [reference]}}).ok()
    cluster.delete(ns.path("pods/pod1"), FOREGROUND).ok()
    until(lambda: pods(ns) == [], "the whole circle is gone")

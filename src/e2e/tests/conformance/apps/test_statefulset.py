"""StatefulSets: order, bursts, rolling updates and status."""

import pytest
from support import conforms, name, scale_operations, status_operations, template, until

GROUP = "apps/v1"
LABELS = {"app": "db"}
# ready while the file is there, however long it takes to look
READY = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 10}
PROBE = {"readinessProbe": READY}
SLEEP = "touch /tmp/ready; sleep 100000"


def stateful_set(ns, replicas=1, name_="db", labels=None, pods=None, **spec):
    service = {"clusterIP": "None", "selector": LABELS, "ports": [{"port": 80}]}
    if name_ == "db":
        ns.create("services", {"metadata": {"name": "db"}, "spec": service})
    pods = pods or template(LABELS, SLEEP)
    spec = {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": LABELS}, "template": pods, **spec}
    return ns.create("statefulsets", {"metadata": {"name": name_, "labels": labels or {}}, "spec": spec}, GROUP)


def until_ready(ns, replicas):
    def ready(it):
        status = it.get("status", {})
        return status.get("replicas") == status.get("readyReplicas", 0) == replicas

    return ns.until("statefulsets/db", ready, GROUP)


def scale(ns, replicas):
    ns.cluster.patch(ns.path("statefulsets/db/scale", GROUP), {"spec": {"replicas": replicas}}).ok()


def make_unready(ns, *pods):
    for pod in pods:
        ns.exec(pod, "rm /tmp/ready")
    ns.until("statefulsets/db", lambda it: not it["status"].get("readyReplicas"), GROUP)


def stays(ns, pods, seconds=1):
    """For this time nothing changes."""
    at = ns.get("statefulsets/db", GROUP)["status"]["replicas"]
    with pytest.raises(AssertionError, match="never"):
        until(lambda: sorted(it["metadata"]["name"] for it in ns.pods()) != pods, "a change", seconds)
    assert ns.get("statefulsets/db", GROUP)["status"]["replicas"] == at == len(pods)


def order(ns, kind, number, at):
    """The names of pods in the order in which the events came."""

    def seen(events):
        return list(dict.fromkeys(pod["metadata"]["name"] for said, pod in events if said == kind))

    return seen(ns.cluster.watch(ns.path("pods"), lambda events: len(seen(events)) == number, resourceVersion=at))


@conforms(
    "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow]"
)
def test_order(ns):
    at = stateful_set(ns, pods=template(LABELS, SLEEP, PROBE))["metadata"]["resourceVersion"]
    until_ready(ns, 1)
    make_unready(ns, "db-0")
    scale(ns, 3)
    stays(ns, ["db-0"])
    ns.exec("db-0", "touch /tmp/ready")
    until_ready(ns, 3)
    assert order(ns, "ADDED", 3, at) == ["db-0", "db-1", "db-2"]
    made = {it["metadata"]["name"]: it["metadata"]["creationTimestamp"] for it in ns.pods()}
    ready = {it["metadata"]["name"]: next(c for c in it["status"]["conditions"] if c["type"] == "Ready") for it in ns.pods()}
    assert ready["db-0"]["lastTransitionTime"] <= made["db-1"] and ready["db-1"]["lastTransitionTime"] <= made["db-2"]

    make_unready(ns, "db-0", "db-1", "db-2")
    scale(ns, 0)
    stays(ns, ["db-0", "db-1", "db-2"])
    for pod in ("db-0", "db-1", "db-2"):
        ns.exec(pod, "touch /tmp/ready")
    until(lambda: not ns.pods(), "all are gone")
    assert order(ns, "DELETED", 3, at) == ["db-2", "db-1", "db-0"]


@conforms(
    "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Burst scaling should run to completion even with unhealthy pods [Slow]"
)
def test_burst(ns):
    stateful_set(ns, pods=template(LABELS, SLEEP, PROBE), podManagementPolicy="Parallel")
    until_ready(ns, 1)
    make_unready(ns, "db-0")
    scale(ns, 3)
    until(lambda: len([it for it in ns.pods() if it["status"]["phase"] == "Running"]) == 3, "three run")
    ns.exec("db-0", "touch /tmp/ready")
    until_ready(ns, 3)
    make_unready(ns, "db-0", "db-1", "db-2")
    scale(ns, 0)
    until(lambda: not ns.pods(), "all are gone")
    until_ready(ns, 0)


@conforms("[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Should recreate evicted statefulset")
def test_evicted(ns, cluster):
    node = cluster.get("/api/v1/nodes").ok()["items"][0]["metadata"]["name"]
    ports = {"ports": [{"containerPort": 21017, "hostPort": 21017}]}
    ns.pod("sleep 100000", name_="first", container=ports, nodeName=node)
    ns.until_phase("first", "Running")
    at = stateful_set(ns, pods=template(LABELS, SLEEP, ports, nodeName=node))["metadata"]["resourceVersion"]

    def again(events):
        pods = [(kind, pod) for kind, pod in events if pod["metadata"]["name"] == "db-0"]
        return len({pod["metadata"]["uid"] for _, pod in pods}) > 1

    events = cluster.watch(ns.path("pods"), again, resourceVersion=at)
    assert any(pod["status"].get("phase") == "Failed" for _, pod in events), "the port was in use"
    cluster.delete(ns.path("pods/first")).ok()
    ns.until_phase("db-0", "Running")


@conforms("[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should have a working scale subresource")
def test_scale(ns):
    stateful_set(ns)
    until_ready(ns, 1)
    scale_operations(ns, "statefulsets/db", GROUP)


@conforms(
    "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should list, patch and delete a collection of StatefulSets"
)
def test_collection(ns, cluster):
    case = name("sets")
    stateful_set(ns, labels={"case": case})
    until_ready(ns, 1)
    everywhere = f"/apis/apps/v1/statefulsets?labelSelector=case%3D{case}"
    assert [it["metadata"]["name"] for it in cluster.get(everywhere).ok()["items"]] == ["db"]
    pods = {"spec": {"containers": [{"name": "main", "command": ["sleep", "5000"]}]}}
    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"replicas": 2, "template": pods}}
    patched = cluster.patch(ns.path("statefulsets/db", GROUP), patch, kind="strategic-merge").ok()
    assert patched["metadata"]["labels"] == {"case": case, "patched": "true"} and patched["spec"]["replicas"] == 2
    assert patched["spec"]["template"]["spec"]["containers"][0]["command"] == ["sleep", "5000"]
    until_ready(ns, 2)
    cluster.delete(ns.path(f"statefulsets?labelSelector=case%3D{case}", GROUP)).ok()
    until(lambda: not cluster.get(everywhere).ok()["items"], "none is left")


def values(ns):
    """Of a variable of the template in each pod, by name; what is not ready counts as none."""

    def value(pod):
        ready = [it for it in pod["status"].get("conditions", []) if it["type"] == "Ready" and it["status"] == "True"]
        return pod["spec"]["containers"][0]["env"][0]["value"] if ready else None

    return [value(pod) for pod in sorted(ns.pods(), key=lambda pod: pod["metadata"]["name"])]


def set_value(ns, value, partition=None):
    pods = {"spec": {"containers": [{"name": "main", "env": [{"name": "VALUE", "value": value}]}]}}
    spec = {"template": pods}
    if partition is not None:
        spec["updateStrategy"] = {"rollingUpdate": {"partition": partition}}
    return ns.cluster.patch(ns.path("statefulsets/db", GROUP), {"spec": spec}, kind="strategic-merge").ok()


def until_values(ns, *wanted):
    until(lambda: values(ns) == list(wanted), f"{wanted}: {values(ns)}")


def of_value(value):
    return template(LABELS, SLEEP, {"env": [{"name": "VALUE", "value": value}]})


def revisions(ns):
    pods = sorted(ns.pods(), key=lambda pod: pod["metadata"]["name"])
    return [pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods]


@conforms(
    "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates and roll backs of template modifications"
)
def test_rolling_update(ns):
    stateful_set(ns, 3, pods=of_value("old"))
    until_ready(ns, 3)
    status = ns.until("statefulsets/db", lambda it: it["status"]["currentRevision"] == it["status"]["updateRevision"], GROUP)["status"]
    first = status["currentRevision"]
    assert revisions(ns) == [first] * 3
    for value in ("new", "old"):
        at = set_value(ns, value)["metadata"]["resourceVersion"]
        until_values(ns, value, value, value)
        assert order(ns, "ADDED", 3, at) == ["db-2", "db-1", "db-0"]
        updated = ns.until("statefulsets/db", lambda it: it["status"].get("updatedReplicas") == it["status"]["replicas"] == 3, GROUP)
        status = updated["status"]
        assert revisions(ns) == [status["updateRevision"]] * 3
        assert (status["updateRevision"] == first) == (value == "old"), "going back takes the old revision"


@conforms(
    "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform canary updates and phased rolling updates of template modifications"
)
def test_partition(ns, cluster):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    stateful_set(ns, 3, pods=of_value("old"), updateStrategy=strategy)
    until_ready(ns, 3)
    set_value(ns, "new")
    status = ns.until("statefulsets/db", lambda it: it["status"]["currentRevision"] != it["status"]["updateRevision"], GROUP)["status"]
    stays(ns, ["db-0", "db-1", "db-2"], 0.5)
    assert values(ns) == ["old", "old", "old"] and revisions(ns) == [status["currentRevision"]] * 3

    set_value(ns, "new", partition=2)
    until_values(ns, "old", "old", "new")
    assert revisions(ns)[2] == status["updateRevision"]
    gone = {it["metadata"]["uid"] for it in ns.pods()}
    for pod in ("db-0", "db-2"):
        cluster.delete(ns.path(f"pods/{pod}")).ok()
    until(lambda: len(gone & {it["metadata"]["uid"] for it in ns.pods()}) == 1, "two are gone")
    until_values(ns, "old", "old", "new")

    set_value(ns, "new", partition=1)
    until_values(ns, "old", "new", "new")
    set_value(ns, "new", partition=0)
    until_values(ns, "new", "new", "new")
    ns.until("statefulsets/db", lambda it: it["status"]["currentRevision"] == status["updateRevision"], GROUP)


@conforms("[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should validate Statefulset Status endpoints")
def test_status(ns):
    stateful_set(ns)
    until_ready(ns, 1)
    status_operations(ns, "statefulsets/db", GROUP)

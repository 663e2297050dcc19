"""RuntimeClasses, and pods that ask for one."""

import pytest
from support import BUSYBOX, conforms, name, until

PATH = "/apis/node.k8s.io/v1/runtimeclasses"
HANDLER = "runc"


@pytest.fixture
def make_class(cluster):
    made = []

    def make(**more):
        made.append(name("class"))
        labels = more.pop("labels", {})
        body = {"metadata": {"name": made[-1], "labels": labels}, "handler": HANDLER, **more}
        return cluster.post(PATH, body).ok()["metadata"]["name"]

    yield make
    for it in made:
        cluster.delete(f"{PATH}/{it}")


def refused(ns, name):
    spec = {"runtimeClassName": name, "containers": [{"name": "main", "image": BUSYBOX}]}
    answer = ns.cluster.post(ns.path("pods"), {"metadata": {"name": "pod"}, "spec": spec})
    answer.refused(403, "is forbidden: pod rejected: RuntimeClass", name, "not found")


@conforms("[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass [NodeConformance]")
def test_unknown(ns):
    refused(ns, name("nonexistent"))


@conforms("[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass [NodeConformance]")
def test_deleted(ns, make_class):
    it = make_class()
    assert ns.output("echo hi", "before", runtimeClassName=it) == "hi\n"
    ns.cluster.delete(f"{PATH}/{it}").ok()
    refused(ns, it)


@pytest.mark.parametrize(
    "overhead",
    [
        pytest.param(
            None, marks=conforms("[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead [NodeConformance]"),
        ),
        pytest.param(
            {"cpu": "10m", "memory": "1Mi"},
            marks=conforms("[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead [NodeConformance]"),
        ),
    ],
)
def test_overhead(ns, make_class, overhead):
    it = make_class(**({"overhead": {"podFixed": overhead}} if overhead else {}))
    ns.pod("true", runtimeClassName=it)
    pod = ns.until_phase("pod", "Succeeded", "Failed")
    assert pod["spec"].get("overhead") == overhead and pod["spec"]["runtimeClassName"] == it
    scheduled = next(it for it in pod["status"]["conditions"] if it["type"] == "PodScheduled")
    assert scheduled["status"] == "True" and pod["spec"]["nodeName"]


@conforms("[sig-node] RuntimeClass should support RuntimeClasses API operations")
def test_api(cluster, make_class):
    groups = {it["name"]: it for it in cluster.get("/apis").ok()["groups"]}
    assert "v1" in [it["version"] for it in groups["node.k8s.io"]["versions"]]
    kinds = {it["name"]: it for it in cluster.get("/apis/node.k8s.io/v1").ok()["resources"]}
    assert kinds["runtimeclasses"]["kind"] == "RuntimeClass" and not kinds["runtimeclasses"]["namespaced"]
    label = name("case")
    selected = f"{PATH}?labelSelector=case={label}"
    before = cluster.get(selected).ok()["metadata"]["resourceVersion"]
    first, *_ = [make_class(labels={"case": label}) for _ in range(3)]
    cluster.post(PATH, {"metadata": {"name": first}, "handler": HANDLER}).refused(409, "AlreadyExists")
    found = cluster.get(f"{PATH}/{first}").ok()
    assert found["handler"] == HANDLER
    assert len(cluster.get(selected).ok()["items"]) == 3
    patched = cluster.patch(f"{PATH}/{first}", {"metadata": {"annotations": {"patched": "true"}}}).ok()
    patched["metadata"]["annotations"]["updated"] = "true"
    updated = cluster.put(f"{PATH}/{first}", patched).ok()
    assert updated["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
    cluster.put(f"{PATH}/{first}", {**updated, "handler": "other"}).refused(422, "handler", "field is immutable")
    cluster.delete(f"{PATH}/{first}").ok()
    cluster.get(f"{PATH}/{first}").refused(404)
    cluster.delete(selected).ok()
    until(lambda: not cluster.get(selected).ok()["items"], "all are gone")
    events = cluster.watch(PATH, lambda it: len(it) == 8, resourceVersion=before, labelSelector=f"case={label}")
    assert [kind for kind, _ in events] == ["ADDED"] * 3 + ["MODIFIED"] * 2 + ["DELETED"] * 3

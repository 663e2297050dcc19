"""What a pod is told of itself in its environment."""

import pytest
from support import allocatable, conforms

RESOURCES = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}


def field(name, path):
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource(name, which):
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": which}}}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param(
            {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"},
            lambda pod: {
                "POD_NAME": "pod", "POD_NAMESPACE": pod["metadata"]["namespace"], "POD_IP": pod["status"]["podIP"],
            },
            marks=conforms("[sig-node] Downward API should provide pod name, namespace and IP address as env vars [NodeConformance]"),
        ),
        pytest.param(
            {"HOST_IP": "status.hostIP"}, lambda pod: {"HOST_IP": pod["status"]["hostIP"]},
            marks=conforms("[sig-node] Downward API should provide host IP as an env var [NodeConformance]"),
        ),
        pytest.param(
            {"HOST_IPS": "status.hostIPs"}, lambda pod: {"HOST_IPS": ",".join(it["ip"] for it in pod["status"]["hostIPs"])},
            marks=conforms("[sig-node] Downward API should provide hostIPs as an env var [NodeConformance]"),
        ),
        pytest.param(
            {"POD_UID": "metadata.uid"}, lambda pod: {"POD_UID": pod["metadata"]["uid"]},
            marks=conforms("[sig-node] Downward API should provide pod UID as env vars [NodeConformance]"),
        ),
    ],
)
def test_fields(ns, variables, expected):
    said = ns.output("env", container={"env": [field(*it) for it in variables.items()]})
    printed = dict(line.split("=", 1) for line in said.splitlines())
    expected = expected(ns.get("pods/pod"))
    assert all(expected.values()) and {name: printed.get(name) for name in expected} == expected


WHICH = {"CPU_LIMIT": "limits.cpu", "MEMORY_LIMIT": "limits.memory", "CPU_REQUEST": "requests.cpu", "MEMORY_REQUEST": "requests.memory"}


@conforms("[sig-node] Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars [NodeConformance]")
def test_resources(ns):
    said = ns.output("env", container={"resources": RESOURCES, "env": [resource(*it) for it in WHICH.items()]}).splitlines()
    assert {"CPU_LIMIT=2", "MEMORY_LIMIT=67108864", "CPU_REQUEST=1", "MEMORY_REQUEST=33554432"} <= set(said)


@conforms("[sig-node] Downward API should provide default limits.cpu/memory from node allocatable [NodeConformance]")
def test_default_limits(ns):
    limits = {name: which for name, which in WHICH.items() if name.endswith("LIMIT")}
    said = ns.output("env", container={"env": [resource(*it) for it in limits.items()]}).splitlines()
    has = allocatable(ns.cluster)
    assert [it for it in said if "LIMIT" in it] == [f"CPU_LIMIT={has['cpu']}", f"MEMORY_LIMIT={has['memory']}"]

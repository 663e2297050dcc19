"""Secrets as volumes."""

import pytest
from support import STAY, conforms, until, with_volumes

DATA = {"data-1": "value-1\n", "data-2": "value-2\n"}
MAPPED = {"key": "data-2", "path": "path/to/data-2"}


def volume(name="data", **more):
    return {"secret": {"secretName": name, **more}}


def make(ns, data, name="data", **more):
    return ns.cluster.post(ns.path("secrets"), {"metadata": {"name": name}, "stringData": data, **more}).ok()


@pytest.mark.parametrize(
    ("source", "security", "command", "printed"),
    [
        pytest.param(
            {}, {}, "cat /data/data-1", "value-1\n",
            marks=conforms("[sig-storage] Secrets should be consumable from pods in volume [NodeConformance]"),
        ),
        pytest.param(
            {"defaultMode": 0o400}, {}, "stat -L -c %a /data/data-1 && cat /data/data-1", "400\nvalue-1\n",
            marks=conforms("[sig-storage] Secrets should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance]"),
        ),
        pytest.param(
            {"defaultMode": 0o440}, {"runAsUser": 1000, "fsGroup": 1001},
            "stat -L -c %a /data/data-1 && cat /data/data-1", "440\nvalue-1\n",
            marks=conforms("[sig-storage] Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance]"),
        ),
        pytest.param(
            {"items": [MAPPED]}, {}, "cat /data/path/to/data-2; ls /data", "value-2\npath\n",
            marks=conforms("[sig-storage] Secrets should be consumable from pods in volume with mappings [NodeConformance]"),
        ),
        pytest.param(
            {"items": [{**MAPPED, "mode": 0o400}]}, {}, "stat -L -c %a /data/path/to/data-2 && cat /data/path/to/data-2", "400\nvalue-2\n",
            marks=conforms("[sig-storage] Secrets should be consumable from pods in volume with mappings and Item Mode set [LinuxOnly] [NodeConformance]"),
        ),
    ],
)
def test_volume(ns, source, security, command, printed):
    make(ns, DATA)
    assert ns.output(command, securityContext=security, **with_volumes({"data": volume(**source)})) == printed


@conforms("[sig-storage] Secrets should be consumable in multiple volumes in a pod [NodeConformance]")
def test_two_volumes(ns):
    make(ns, DATA)
    said = ns.output("cat /one/data-1 /two/path/to/data-2", **with_volumes({"one": volume(), "two": volume(items=[MAPPED])}))
    assert said == "value-1\nvalue-2\n"


@conforms("[sig-storage] Secrets optional updates should be reflected in volume [NodeConformance]")
def test_optional(ns):
    make(ns, DATA, "deleted")
    make(ns, DATA, "updated")
    names = ["deleted", "updated", "created"]
    ns.pod(STAY, **with_volumes({name: volume(name, optional=True) for name in names}))
    ns.until_ready("pod")
    assert ns.exec("pod", "cd /; echo */data-?") == "deleted/data-1 deleted/data-2 updated/data-1 updated/data-2\n"
    ns.cluster.delete(ns.path("secrets/deleted")).ok()
    ns.cluster.patch(ns.path("secrets/updated"), {"data": {"data-1": None}, "stringData": {"data-3": "value-3"}}).ok()
    make(ns, DATA, "created")
    expected = "created/data-1 created/data-2 updated/data-2 updated/data-3\n"
    until(lambda: ns.exec("pod", "cd /; echo */data-?") == expected, "the volumes follow")
    assert ns.exec("pod", "cat /updated/data-3 /created/data-1") == "value-3value-1\n"


@conforms("[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace [NodeConformance]")
def test_same_name_elsewhere(ns, make_ns):
    make(ns, DATA)
    make(make_ns(), {"data-1": "of another\n"})
    assert ns.output("cat /data/data-1", **with_volumes({"data": volume()})) == "value-1\n"


@conforms("[sig-storage] Secrets should be immutable if `immutable` field is set")
def test_immutable(ns):
    it = make(ns, DATA)
    it["stringData"] = {"data-1": "other"}
    it = ns.cluster.put(ns.path("secrets/data"), it).ok()
    it["immutable"] = True
    it = ns.cluster.put(ns.path("secrets/data"), it).ok()
    for change in [{"stringData": {"data-1": "again"}}, {"immutable": False}]:
        answer = ns.cluster.put(ns.path("secrets/data"), {**it, **change})
        answer.refused(422, "field is immutable when `immutable` is set")
    labelled = {**it, "metadata": {**it["metadata"], "labels": {"may": "change"}}}
    assert ns.cluster.put(ns.path("secrets/data"), labelled).ok()["metadata"]["labels"] == {"may": "change"}
    ns.cluster.delete(ns.path("secrets/data")).ok()
    assert "immutable" not in make(ns, DATA)

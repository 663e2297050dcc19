"""ConfigMaps and Secrets as volumes."""

import base64

import pytest
from sources import SOURCES, each, for_each
from support import STAY, conforms, until, with_volumes

DATA = {"data-1": "value-1\n", "data-2": "value-2\n"}
MAPPED = {"key": "data-2", "path": "path/to/data-2"}


@pytest.mark.parametrize(
    ("source", "options", "security", "command", "printed"),
    [
        *each(
            {}, {}, "cat /data/data-1", "value-1\n",
            config_map="[sig-storage] ConfigMap should be consumable from pods in volume [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap should be consumable from pods in volume [NodeConformance]",
            secret="[sig-storage] Secrets should be consumable from pods in volume [NodeConformance]",
            projected_secret="[sig-storage] Projected secret should be consumable from pods in volume [NodeConformance]",
        ),
        *each(
            {}, {"runAsUser": 1000}, "cat /data/data-1", "value-1\n",
            config_map="[sig-storage] ConfigMap should be consumable from pods in volume as non-root [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap should be consumable from pods in volume as non-root [NodeConformance]",
        ),
        *each(
            {"defaultMode": 0o400}, {}, "stat -L -c %a /data/data-1 && cat /data/data-1", "400\nvalue-1\n",
            config_map="[sig-storage] ConfigMap should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance]",
            secret="[sig-storage] Secrets should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance]",
            projected_secret="[sig-storage] Projected secret should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance]",
        ),
        *each(
            {"defaultMode": 0o440}, {"runAsUser": 1000, "fsGroup": 1001},
            "stat -L -c %a /data/data-1 && cat /data/data-1", "440\nvalue-1\n",
            secret="[sig-storage] Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance]",
            projected_secret="[sig-storage] Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance]",
        ),
        *each(
            {"items": [MAPPED]}, {}, "cat /data/path/to/data-2; ls /data", "value-2\npath\n",
            config_map="[sig-storage] ConfigMap should be consumable from pods in volume with mappings [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap should be consumable from pods in volume with mappings [NodeConformance]",
            secret="[sig-storage] Secrets should be consumable from pods in volume with mappings [NodeConformance]",
            projected_secret="[sig-storage] Projected secret should be consumable from pods in volume with mappings [NodeConformance]",
        ),
        *each(
            {"items": [MAPPED]}, {"runAsUser": 1000}, "cat /data/path/to/data-2; ls /data", "value-2\npath\n",
            config_map="[sig-storage] ConfigMap should be consumable from pods in volume with mappings as non-root [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap should be consumable from pods in volume with mappings as non-root [NodeConformance]",
        ),
        *each(
            {"items": [{**MAPPED, "mode": 0o400}]}, {}, "stat -L -c %a /data/path/to/data-2 && cat /data/path/to/data-2", "400\nvalue-2\n",
            config_map="[sig-storage] ConfigMap should be consumable from pods in volume with mappings and Item mode set [LinuxOnly] [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap should be consumable from pods in volume with mappings and Item mode set [LinuxOnly] [NodeConformance]",
            secret="[sig-storage] Secrets should be consumable from pods in volume with mappings and Item Mode set [LinuxOnly] [NodeConformance]",
            projected_secret="[sig-storage] Projected secret should be consumable from pods in volume with mappings and Item Mode set [LinuxOnly] [NodeConformance]",
        ),
    ],
)
def test_volume(ns, source, options, security, command, printed):
    source.make(ns, DATA)
    assert ns.output(command, securityContext=security, **with_volumes({"data": source.volume(**options)})) == printed


@for_each(
    config_map="[sig-storage] ConfigMap should be consumable in multiple volumes in the same pod [NodeConformance]",
    projected_config_map="[sig-storage] Projected configMap should be consumable in multiple volumes in the same pod [NodeConformance]",
    secret="[sig-storage] Secrets should be consumable in multiple volumes in a pod [NodeConformance]",
    projected_secret="[sig-storage] Projected secret should be consumable in multiple volumes in a pod [NodeConformance]",
)
def test_two_volumes(ns, source):
    source.make(ns, DATA)
    volumes = {"one": source.volume(), "two": source.volume(items=[MAPPED])}
    assert ns.output("cat /one/data-1 /two/path/to/data-2", **with_volumes(volumes)) == "value-1\nvalue-2\n"


@pytest.mark.parametrize(
    ("source", "change"),
    [
        *each(
            {"data": {"data-1": None, "data-3": "value-3"}},
            config_map="[sig-storage] ConfigMap optional updates should be reflected in volume [NodeConformance]",
            projected_config_map="[sig-storage] Projected configMap optional updates should be reflected in volume [NodeConformance]",
        ),
        *each(
            {"data": {"data-1": None}, "stringData": {"data-3": "value-3"}},
            secret="[sig-storage] Secrets optional updates should be reflected in volume [NodeConformance]",
            projected_secret="[sig-storage] Projected secret optional updates should be reflected in volume [NodeConformance]",
        ),
    ],
)
def test_optional(ns, source, change):
    source.make(ns, DATA, "deleted")
    source.make(ns, DATA, "updated")
    names = ["deleted", "updated", "created"]
    ns.pod(STAY, **with_volumes({name: source.volume(name, optional=True) for name in names}))
    ns.until_ready("pod")
    assert ns.exec("pod", "cd /; echo */data-?") == "deleted/data-1 deleted/data-2 updated/data-1 updated/data-2\n"
    ns.cluster.delete(source.path(ns, "deleted")).ok()
    ns.cluster.patch(source.path(ns, "updated"), change).ok()
    source.make(ns, DATA, "created")
    expected = "created/data-1 created/data-2 updated/data-2 updated/data-3\n"
    until(lambda: ns.exec("pod", "cd /; echo */data-?") == expected, "the volumes follow")
    assert ns.exec("pod", "cat /updated/data-3 /created/data-1") == "value-3value-1\n"


@for_each(
    config_map="[sig-storage] ConfigMap updates should be reflected in volume [NodeConformance]",
    projected_config_map="[sig-storage] Projected configMap updates should be reflected in volume [NodeConformance]",
)
def test_update(ns, source):
    source.make(ns, DATA)
    ns.pod(STAY, **with_volumes({"data": source.volume()}))
    ns.until_ready("pod")
    assert ns.exec("pod", "cat /data/data-1") == "value-1\n"
    ns.cluster.patch(source.path(ns), {"data": {"data-1": "other\n"}}).ok()
    until(lambda: ns.exec("pod", "cat /data/data-1") == "other\n", "the volume follows")


@conforms("[sig-storage] ConfigMap binary data should be reflected in volume [NodeConformance]")
def test_binary(ns):
    content = bytes(range(256))
    source = SOURCES["config_map"]
    source.make(ns, DATA, binaryData={"dump.bin": base64.b64encode(content).decode()})
    said = ns.output("cat /data/data-1; busybox base64 -w 0 /data/dump.bin", **with_volumes({"data": source.volume()}))
    assert said == "value-1\n" + base64.b64encode(content).decode()


@conforms("[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace [NodeConformance]")
def test_same_name_elsewhere(ns, make_ns):
    source = SOURCES["secret"]
    source.make(ns, DATA)
    source.make(make_ns(), {"data-1": "of another\n"})
    assert ns.output("cat /data/data-1", **with_volumes({"data": source.volume()})) == "value-1\n"


@for_each(
    config_map="[sig-storage] ConfigMap should be immutable if `immutable` field is set",
    secret="[sig-storage] Secrets should be immutable if `immutable` field is set",
)
def test_immutable(ns, source):
    it = source.make(ns, DATA)
    it[source.field] = {"data-1": "other"}
    it = ns.cluster.put(source.path(ns), it).ok()
    it["immutable"] = True
    it = ns.cluster.put(source.path(ns), it).ok()
    for change in [{source.field: {"data-1": "again"}}, {"immutable": False}]:
        answer = ns.cluster.put(source.path(ns), {**it, **change})
        answer.refused(422, "field is immutable when `immutable` is set")
    labelled = {**it, "metadata": {**it["metadata"], "labels": {"may": "change"}}}
    assert ns.cluster.put(source.path(ns), labelled).ok()["metadata"]["labels"] == {"may": "change"}
    ns.cluster.delete(source.path(ns)).ok()
    assert "immutable" not in source.make(ns, DATA)

"""What a pod is told of itself in files."""

import pytest
from support import STAY, allocatable, conforms, until, with_volumes

LIMITED = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}


def volume(items, **mode):
    return {"downward": {"downwardAPI": {"items": items, **mode}}}


def field(path, **mode):
    return {"path": "it", "fieldRef": {"fieldPath": path}, **mode}


def resource(name, **divisor):
    return {"path": "it", "resourceFieldRef": {"containerName": "main", "resource": name, **divisor}}


@pytest.mark.parametrize(
    ("item", "mode", "content", "permissions"),
    [
        pytest.param(
            field("metadata.name"), {}, "pod", "644",
            marks=conforms("[sig-storage] Downward API volume should provide podname only [NodeConformance]"),
        ),
        pytest.param(
            field("metadata.name"), {"defaultMode": 0o400}, "pod", "400",
            marks=conforms("[sig-storage] Downward API volume should set DefaultMode on files [LinuxOnly] [NodeConformance]"),
        ),
        pytest.param(
            field("metadata.name", mode=0o400), {}, "pod", "400",
            marks=conforms("[sig-storage] Downward API volume should set mode on item file [LinuxOnly] [NodeConformance]"),
        ),
        pytest.param(
            resource("limits.cpu"), {}, "2", "644",
            marks=conforms("[sig-storage] Downward API volume should provide container's cpu limit [NodeConformance]"),
        ),
        pytest.param(
            resource("limits.memory"), {}, "67108864", "644",
            marks=conforms("[sig-storage] Downward API volume should provide container's memory limit [NodeConformance]"),
        ),
        pytest.param(
            resource("requests.cpu", divisor="1m"), {}, "250", "644",
            marks=conforms("[sig-storage] Downward API volume should provide container's cpu request [NodeConformance]"),
        ),
        pytest.param(
            resource("requests.memory", divisor="1Mi"), {}, "32", "644",
            marks=conforms("[sig-storage] Downward API volume should provide container's memory request [NodeConformance]"),
        ),
    ],
)
def test_item(ns, item, mode, content, permissions):
    said = ns.output("cat /downward/it; stat -L -c %a /downward/it", **with_volumes(volume([item], **mode), resources=LIMITED))
    assert said == f"{content}{permissions}\n"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            "cpu", marks=conforms("[sig-storage] Downward API volume should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance]"),
        ),
        pytest.param(
            "memory", marks=conforms("[sig-storage] Downward API volume should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance]"),
        ),
    ],
)
def test_default_limit(ns, name):
    said = ns.output("cat /downward/it", **with_volumes(volume([resource(f"limits.{name}")])))
    assert int(said) == allocatable(ns.cluster)[name]


@pytest.mark.parametrize(
    "which",
    [
        pytest.param("labels", marks=conforms("[sig-storage] Downward API volume should update labels on modification [NodeConformance]")),
        pytest.param("annotations", marks=conforms("[sig-storage] Downward API volume should update annotations on modification [NodeConformance]")),
    ],
)
def test_update(ns, which):
    ns.pod(STAY, metadata={which: {"key1": "value1", "key2": "value2"}}, **with_volumes(volume([field(f"metadata.{which}")])))
    ns.until_ready("pod")
    # a pod may have annotations that its cluster adds
    assert 'key1="value1"\nkey2="value2"' in ns.exec("pod", "cat /downward/it")
    ns.cluster.patch(ns.path("pods/pod"), {"metadata": {which: {"key2": None, "key3": "value3"}}}).ok()
    until(lambda: 'key1="value1"\nkey3="value3"' in ns.exec("pod", "cat /downward/it"), "the volume follows")

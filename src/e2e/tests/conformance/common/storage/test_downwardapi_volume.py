"""What a pod is told of itself in files."""

import pytest
from sources import each
from support import STAY, allocatable, until, with_volumes

LIMITED = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}


def volume(source, item, **mode):
    return {"downward": source.volume(items=[item], **mode)}


def field(path, **mode):
    return {"path": "it", "fieldRef": {"fieldPath": path}, **mode}


def resource(name, **divisor):
    return {"path": "it", "resourceFieldRef": {"containerName": "main", "resource": name, **divisor}}


@pytest.mark.parametrize(
    ("source", "item", "mode", "content", "permissions"),
    [
        *each(
            field("metadata.name"), {}, "pod", "644",
            downward_api="[sig-storage] Downward API volume should provide podname only [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide podname only [NodeConformance]",
        ),
        *each(
            field("metadata.name"), {"defaultMode": 0o400}, "pod", "400",
            downward_api="[sig-storage] Downward API volume should set DefaultMode on files [LinuxOnly] [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should set DefaultMode on files [LinuxOnly] [NodeConformance]",
        ),
        *each(
            field("metadata.name", mode=0o400), {}, "pod", "400",
            downward_api="[sig-storage] Downward API volume should set mode on item file [LinuxOnly] [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should set mode on item file [LinuxOnly] [NodeConformance]",
        ),
        *each(
            resource("limits.cpu"), {}, "2", "644",
            downward_api="[sig-storage] Downward API volume should provide container's cpu limit [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide container's cpu limit [NodeConformance]",
        ),
        *each(
            resource("limits.memory"), {}, "67108864", "644",
            downward_api="[sig-storage] Downward API volume should provide container's memory limit [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide container's memory limit [NodeConformance]",
        ),
        *each(
            resource("requests.cpu", divisor="1m"), {}, "250", "644",
            downward_api="[sig-storage] Downward API volume should provide container's cpu request [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide container's cpu request [NodeConformance]",
        ),
        *each(
            resource("requests.memory", divisor="1Mi"), {}, "32", "644",
            downward_api="[sig-storage] Downward API volume should provide container's memory request [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide container's memory request [NodeConformance]",
        ),
    ],
)
def test_item(ns, source, item, mode, content, permissions):
    command = "cat /downward/it; stat -L -c %a /downward/it"
    said = ns.output(command, **with_volumes(volume(source, item, **mode), resources=LIMITED))
    assert said == f"{content}{permissions}\n"


@pytest.mark.parametrize(
    ("source", "item", "name"),
    [
        *each(
            resource("limits.cpu"), "cpu",
            downward_api="[sig-storage] Downward API volume should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance]",
        ),
        *each(
            resource("limits.memory"), "memory",
            downward_api="[sig-storage] Downward API volume should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance]",
        ),
    ],
)
def test_default_limit(ns, source, item, name):
    said = ns.output("cat /downward/it", **with_volumes(volume(source, item)))
    assert int(said) == allocatable(ns.cluster)[name]


@pytest.mark.parametrize(
    ("source", "which"),
    [
        *each(
            "labels",
            downward_api="[sig-storage] Downward API volume should update labels on modification [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should update labels on modification [NodeConformance]",
        ),
        *each(
            "annotations",
            downward_api="[sig-storage] Downward API volume should update annotations on modification [NodeConformance]",
            projected_downward_api="[sig-storage] Projected downwardAPI should update annotations on modification [NodeConformance]",
        ),
    ],
)
def test_update(ns, source, which):
    told = volume(source, field(f"metadata.{which}"))
    ns.pod(STAY, metadata={which: {"key1": "value1", "key2": "value2"}}, **with_volumes(told))
    ns.until_ready("pod")
    # a pod may have annotations that its cluster adds
    assert 'key1="value1"\nkey2="value2"' in ns.exec("pod", "cat /downward/it")
    ns.cluster.patch(ns.path("pods/pod"), {"metadata": {which: {"key2": None, "key3": "value3"}}}).ok()
    until(lambda: 'key1="value1"\nkey3="value3"' in ns.exec("pod", "cat /downward/it"), "the volume follows")

"""One file of a volume whose files are all replaced at once."""

import pytest
from support import STAY, conforms, until

CONFIG_MAP = {"configMap": {"name": "it"}}
SECRET = {"secret": {"secretName": "it"}}
DOWNWARD = {"downwardAPI": {"items": [{"path": "content", "fieldRef": {"fieldPath": "metadata.annotations['content']"}}]}}
PROJECTED = {"projected": {"sources": [CONFIG_MAP]}}


@pytest.mark.parametrize(
    ("source", "place"),
    [
        pytest.param(
            CONFIG_MAP, "/mnt/file",
            marks=conforms("[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod"),
        ),
        pytest.param(
            CONFIG_MAP, "/etc/passwd",
            marks=conforms("[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod with mountPath of existing file"),
        ),
        pytest.param(
            SECRET, "/mnt/file", marks=conforms("[sig-storage] Subpath Atomic writer volumes should support subpaths with secret pod"),
        ),
        pytest.param(
            DOWNWARD, "/mnt/file", marks=conforms("[sig-storage] Subpath Atomic writer volumes should support subpaths with downward pod"),
        ),
        pytest.param(
            PROJECTED, "/mnt/file", marks=conforms("[sig-storage] Subpath Atomic writer volumes should support subpaths with projected pod"),
        ),
    ],
)
def test_sub_path(ns, source, place):
    ns.cluster.post(ns.path("configmaps"), {"metadata": {"name": "it"}, "data": {"content": "first"}}).ok()
    ns.cluster.post(ns.path("secrets"), {"metadata": {"name": "it"}, "stringData": {"content": "first"}}).ok()
    mounts = [{"name": "volume", "mountPath": place, "subPath": "content"}, {"name": "volume", "mountPath": "/whole"}]
    ns.pod(
        STAY, metadata={"annotations": {"content": "first"}},
        container={"volumeMounts": mounts}, volumes=[{"name": "volume", **source}],
    )
    ns.until_ready("pod")
    assert ns.exec("pod", f"cat {place}; test -f {place} && cat /whole/content") == "firstfirst"
    # the file stays what it was, readable, when the volume is replaced
    ns.cluster.patch(ns.path("configmaps/it"), {"data": {"content": "second"}}).ok()
    ns.cluster.patch(ns.path("secrets/it"), {"stringData": {"content": "second"}}).ok()
    ns.cluster.patch(ns.path("pods/pod"), {"metadata": {"annotations": {"content": "second"}}}).ok()
    until(lambda: ns.exec("pod", "cat /whole/content") == "second", "the volume follows")
    assert ns.exec("pod", f"cat {place}") == "first"

"""Webhooks that convert custom objects."""

import pytest
from support import conforms, converted_kind


def shape(shown):
    return {key: value for key, value in shown.items() if key in ("apiVersion", "hostPort", "host", "port")}


@conforms(
    "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2"
)
def test_one(cluster, ns):
    with converted_kind(cluster) as crd:
        foo = {"apiVersion": f"{crd.group}/v1", "kind": "Foo", "metadata": {"name": "foo"}, "hostPort": "localhost:8080"}
        cluster.post(ns.path("foos", f"{crd.group}/v1"), foo).ok()
        shown = ns.get("foos/foo", f"{crd.group}/v2")
        assert shape(shown) == {"apiVersion": f"{crd.group}/v2", "host": "localhost", "port": "8080"}


@conforms(
    "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs"
)
@pytest.mark.parametrize("storage", ["v1", "v2"])
def test_mixed_list(cluster, ns, storage):
    with converted_kind(cluster) as crd:
        one, two = (ns.path("foos", f"{crd.group}/{version}") for version in ("v1", "v2"))
        foo = {"kind": "Foo", "apiVersion": f"{crd.group}/v1", "metadata": {"name": "a"}, "hostPort": "localhost:80"}
        cluster.post(one, foo).ok()
        if storage == "v2":
            # what comes from now on is stored as the other version
            flags = [{"op": "replace", "path": f"/spec/versions/{at}/storage", "value": at == 1} for at in (0, 1)]
            cluster.patch(crd.path, flags, kind="json").ok()
        foo = {"kind": "Foo", "apiVersion": f"{crd.group}/v2", "metadata": {"name": "b"}, "host": "there", "port": "81"}
        cluster.post(two, foo).ok()
        assert [shape(it) for it in cluster.get(one).ok()["items"]] == [
            {"apiVersion": f"{crd.group}/v1", "hostPort": "localhost:80"},
            {"apiVersion": f"{crd.group}/v1", "hostPort": "there:81"},
        ]
        assert [shape(it) for it in cluster.get(two).ok()["items"]] == [
            {"apiVersion": f"{crd.group}/v2", "host": "localhost", "port": "80"},
            {"apiVersion": f"{crd.group}/v2", "host": "there", "port": "81"},
        ]

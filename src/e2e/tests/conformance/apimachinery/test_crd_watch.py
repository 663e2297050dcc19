"""Watches of custom objects."""

from support import conforms, custom_kind


@conforms(
    "[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects"
)
def test_watch(cluster):
    with custom_kind(cluster, scope="Cluster") as crd:
        api = f"{crd.group}/v1"
        path = f"/apis/{api}/foos"
        at = cluster.get(path).ok()["metadata"]["resourceVersion"]
        for named in ("a", "b"):
            cluster.post(path, {"apiVersion": api, "kind": "Foo", "metadata": {"name": named}}).ok()
        for named in ("a", "b"):
            cluster.patch(f"{path}/{named}", {"changed": named}).ok()
            cluster.delete(f"{path}/{named}").ok()
        for named in ("a", "b"):
            selector = f"metadata.name%3D{named}"
            events = cluster.watch(path, lambda seen: seen[-1][0] == "DELETED", fieldSelector=selector, resourceVersion=at)
            assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
            assert [shown.get("changed") for _, shown in events] == [None, named, named]
            assert {shown["metadata"]["name"] for _, shown in events} == {named}

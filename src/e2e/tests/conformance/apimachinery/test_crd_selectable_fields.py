"""Fields by which custom objects are selected."""

from support import Follower, conforms, converted_kind, until


def story(follower):
    return [(kind, shown["metadata"]["name"]) for kind, shown in follower.events]


@conforms(
    "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector"
)
def test_selectable_fields(cluster, ns):
    with converted_kind(cluster) as crd:
        # the older version is stored, the newer one's fields are in no stored object
        one, two = (ns.path("foos", f"{crd.group}/{version}") for version in ("v1", "v2"))
        at = cluster.get(two).ok()["metadata"]["resourceVersion"]
        of_host = Follower(cluster, two, 4, fieldSelector="host%3Dhost1", resourceVersion=at)
        of_both = Follower(cluster, two, 2, fieldSelector="host%3Dhost1,port%3D80", resourceVersion=at)
        of_older = Follower(cluster, one, 2, fieldSelector="hostPort%3Dhost1:80", resourceVersion=at)
        for named, host, port in (("a", "host1", "80"), ("b", "host1", "8080"), ("c", "host2", "80")):
            foo = {"apiVersion": f"{crd.group}/v2", "kind": "Foo", "metadata": {"name": named}, "host": host, "port": port}
            cluster.post(two, foo).ok()

        def names(path, selector):
            return [it["metadata"]["name"] for it in cluster.get(f"{path}?fieldSelector={selector}").ok()["items"]]

        assert names(two, "host%3Dhost1") == ["a", "b"]
        assert names(two, "host%3Dhost1,port%3D80") == ["a"]
        assert names(two, "host%21%3Dhost1") == ["c"]
        assert names(one, "hostPort%3Dhost1:80") == ["a"]
        assert names(one, "hostPort%3Dhost1:8080") == ["b"]
        cluster.get(f"{one}?fieldSelector=host%3Dhost1").refused(400, "field label not supported: host")
        until(lambda: story(of_host) == [("ADDED", "a"), ("ADDED", "b")], "who matches is told", 10)
        until(lambda: story(of_both) == story(of_older) == [("ADDED", "a")], "who matches is told, by both versions", 10)

        cluster.delete(f"{two}?fieldSelector=host%3Dhost1,port%3D80", {"gracePeriodSeconds": 0}).ok()
        cluster.update(f"{two}/b", lambda shown: shown.update(host="host2"))
        assert names(two, "host%3Dhost1") == names(two, "host%3Dhost1,port%3D80") == []
        assert names(two, "host%3Dhost2") == ["b", "c"]
        gone = [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]
        until(lambda: story(of_host) == gone, "who left is told", 10)
        until(lambda: story(of_both) == story(of_older) == [("ADDED", "a"), ("DELETED", "a")], "who left is told, by both versions", 10)

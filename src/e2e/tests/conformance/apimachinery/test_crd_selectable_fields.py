"""Custom objects are selected by the fields of the version that is asked for."""

from urllib.parse import quote

from support import Follower, conforms, converted_kind, until

PLACES = {"a": {"host": "host1", "port": "80"}, "b": {"host": "host1", "port": "8080"}, "c": {"host": "host2"}}
HOST, BOTH, OLD = ("v2", "host=host1"), ("v2", "host=host1,port=80"), ("v1", "hostPort=host1:80")


def told(events):
    return [(kind, shown["apiVersion"].split("/")[1], shown["metadata"]["name"]) for kind, shown in events]


@conforms(
    "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector"
)
def test_list_and_watch(cluster, ns):
    with converted_kind(cluster) as crd:

        def path(version, named=""):
            return ns.path(f"foos/{named}".rstrip("/"), f"{crd.group}/{version}")

        def listed(version, selector):
            shown = cluster.get(f"{path(version)}?fieldSelector={quote(selector)}").ok()
            return [it["metadata"]["name"] for it in shown["items"]]

        def follow(count, version, selector, **more):
            return Follower(cluster, path(version), count, fieldSelector=quote(selector), **more)

        def until_told(follower, *wanted, version="v2"):
            until(lambda: len(follower.events) >= len(wanted), f"{len(wanted)} events: {told(follower.events)}")
            assert told(follower.events) == [(kind, version, named) for kind, named in wanted]

        at = cluster.get(path("v2")).ok()["metadata"]["resourceVersion"]
        of_host = follow(4, *HOST, resourceVersion=at)
        of_both = follow(2, *BOTH, resourceVersion=at)
        of_old = follow(2, *OLD, resourceVersion=at)
        for named, place in PLACES.items():
            foo = {"apiVersion": f"{crd.group}/v2", "kind": "Foo", "metadata": {"name": named}, **place}
            cluster.post(path("v2"), foo).ok()

        assert [listed(*it) for it in (HOST, BOTH, OLD)] == [["a", "b"], ["a"], ["a"]]
        assert listed("v1", "hostPort=host1:8080") == ["b"]
        cluster.get(f"{path('v1')}?fieldSelector=host%3Dhost1").refused(400, "field label not supported: host")

        # begins with what exists, as an informer does
        initial = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        first = cluster.watch(path("v2"), lambda seen: seen[-1][0] == "BOOKMARK", fieldSelector=quote(HOST[1]), **initial)
        assert told(first[:-1]) == [("ADDED", "v2", "a"), ("ADDED", "v2", "b")]
        later = follow(2, *HOST, resourceVersion=first[-1][1]["metadata"]["resourceVersion"])

        cluster.delete(f"{path('v2')}?fieldSelector={quote(BOTH[1])}", {"gracePeriodSeconds": 0}).ok()
        cluster.update(path("v2", "b"), lambda shown: shown.update(host="host2"))

        assert [listed(*it) for it in (HOST, BOTH, OLD)] == [[], [], []]
        assert listed("v2", "host!=host1") == ["b", "c"]
        until_told(of_host, ("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b"))
        until_told(of_both, ("ADDED", "a"), ("DELETED", "a"))
        until_told(of_old, ("ADDED", "a"), ("DELETED", "a"), version="v1")
        until_told(later, ("DELETED", "a"), ("DELETED", "b"))

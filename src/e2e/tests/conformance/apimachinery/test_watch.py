"""Watches: what is told, in which order, and from where on."""

import threading

import pytest
from support import Follower, conforms, until


@pytest.fixture(autouse=True)
def quiet(ns):
    """The config map with the authority's certificate comes a moment after the namespace."""
    until(lambda: ns.cluster.get(maps(ns, "kube-root-ca.crt")).status == 200, "the certificate is there")


def maps(ns, named=None):
    return ns.path(f"configmaps/{named}" if named else "configmaps")


def create(ns, named, **labels):
    return ns.cluster.post(maps(ns), {"metadata": {"name": named, "labels": labels}}).ok()


def change(ns, named, count, **labels):
    body = {"data": {"mutation": str(count)}, **({"metadata": {"labels": labels}} if labels else {})}
    return ns.cluster.patch(maps(ns, named), body).ok()


def revision(shown):
    return shown["metadata"]["resourceVersion"]


def story(events):
    return [(kind, shown["metadata"]["name"], shown.get("data", {}).get("mutation")) for kind, shown in events]


def until_story(follower, wanted):
    until(lambda: len(follower.events) >= len(wanted), f"{len(wanted)} events: {story(follower.events)}")
    assert story(follower.events) == wanted


@conforms("[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps")
def test_add_update_delete(cluster, ns):
    at = revision(cluster.get(maps(ns)).ok())
    of_a = Follower(cluster, maps(ns), 4, labelSelector="watch%3Da", resourceVersion=at)
    of_b = Follower(cluster, maps(ns), 2, labelSelector="watch%3Db", resourceVersion=at)
    of_both = Follower(cluster, maps(ns), 6, labelSelector="watch%20in%20(a,b)", resourceVersion=at)
    create(ns, "map-a", watch="a")
    change(ns, "map-a", 1)
    change(ns, "map-a", 2)
    cluster.delete(maps(ns, "map-a")).ok()
    create(ns, "map-b", watch="b")
    cluster.delete(maps(ns, "map-b")).ok()
    wanted_a = [("ADDED", "map-a", None), ("MODIFIED", "map-a", "1"), ("MODIFIED", "map-a", "2"), ("DELETED", "map-a", "2")]
    wanted_b = [("ADDED", "map-b", None), ("DELETED", "map-b", None)]
    until_story(of_a, wanted_a)
    until_story(of_b, wanted_b)
    until_story(of_both, wanted_a + wanted_b)


@conforms("[sig-api-machinery] Watchers should be able to start watching from a specific resource version")
def test_from_a_version(cluster, ns):
    create(ns, "map")
    first = change(ns, "map", 1)
    change(ns, "map", 2)
    cluster.delete(maps(ns, "map")).ok()
    events = cluster.watch(maps(ns), lambda seen: len(seen) == 2, resourceVersion=revision(first))
    assert story(events) == [("MODIFIED", "map", "2"), ("DELETED", "map", "2")]


@conforms("[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch")
def test_restart(cluster, ns):
    at = revision(cluster.get(maps(ns)).ok())
    create(ns, "map")
    change(ns, "map", 1)
    seen = cluster.watch(maps(ns), lambda seen: len(seen) == 2, resourceVersion=at)
    assert story(seen) == [("ADDED", "map", None), ("MODIFIED", "map", "1")]
    # while nobody watches
    change(ns, "map", 2)
    cluster.delete(maps(ns, "map")).ok()
    events = cluster.watch(maps(ns), lambda seen: len(seen) == 2, resourceVersion=revision(seen[-1][1]))
    assert story(events) == [("MODIFIED", "map", "2"), ("DELETED", "map", "2")]


@conforms("[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector")
def test_leaves_the_selector(cluster, ns):
    at = revision(cluster.get(maps(ns)).ok())
    follower = Follower(cluster, maps(ns), 6, labelSelector="watch%3Dyes", resourceVersion=at)
    create(ns, "map", watch="yes")
    change(ns, "map", 1)
    change(ns, "map", 1, watch="no")
    # nobody hears of it
    change(ns, "map", 2)
    change(ns, "map", 2, watch="yes")
    change(ns, "map", 3)
    cluster.delete(maps(ns, "map")).ok()
    until_story(
        follower,
        [
            ("ADDED", "map", None),
            ("MODIFIED", "map", "1"),
            ("DELETED", "map", "1"),
            ("ADDED", "map", "2"),
            ("MODIFIED", "map", "3"),
            ("DELETED", "map", "3"),
        ],
    )


@conforms("[sig-api-machinery] Watchers should receive events on concurrent watches in same order")
def test_same_order(cluster, ns):
    names = [f"map-{number % 7}" for number in range(60)]
    begin = revision(cluster.get(maps(ns)).ok())
    over = []

    def write(part):
        for number, named in enumerate(names):
            path = f"{named}-{part}"
            if number < 7:
                create(ns, path)
            elif number < 53:
                change(ns, path, number)
            else:
                cluster.delete(maps(ns, path)).ok()
        over.append(part)

    writers = [threading.Thread(target=write, args=(part,)) for part in range(2)]
    followers = [Follower(cluster, maps(ns), 120, resourceVersion=begin)]
    for writer in writers:
        writer.start()

    def look():
        # each begins where another has come to
        events = followers[0].events
        if 0 < len(events) < 120 and len(followers) < 6:
            followers.append(Follower(cluster, maps(ns), 120 - len(events), resourceVersion=revision(events[-1][1])))
        return len(over) == 2 and len(events) == 120

    until(look, "all is written and seen")
    versions = [revision(shown) for _, shown in followers[0].events]
    assert versions == sorted(versions, key=int)
    for follower in followers[1:]:
        at = versions.index(follower.parameters["resourceVersion"]) + 1
        until(lambda f=follower, at=at: len(f.events) >= 120 - at, "the others see it as well")
        assert [revision(shown) for _, shown in follower.events] == versions[at:]

"""Events of the core group."""

from support import conforms, name, until


def event(ns, named):
    return {
        "metadata": {"name": named, "labels": {"case": ns.name}},
        "involvedObject": {"kind": "Event", "name": named, "namespace": ns.name},
        "message": "something was seen",
        "reason": "Test",
        "type": "Normal",
        "count": 1,
        "source": {"component": "a case"},
    }


@conforms("[sig-instrumentation] Events should manage the lifecycle of an event")
def test_lifecycle(cluster, ns):
    path, named = ns.path("events"), name("event")
    every = f"/api/v1/events?labelSelector=case%3D{ns.name}"
    made = cluster.post(path, event(ns, named)).ok()
    assert [it["metadata"]["name"] for it in cluster.get(every).ok()["items"]] == [named]

    patched = cluster.patch(f"{path}/{named}", {"message": "something else was seen"}, kind="strategic-merge").ok()
    assert patched["message"] == "something else was seen"
    series = {"count": 100, "lastObservedTime": "2014-01-01T00:00:00.000000Z"}
    assert cluster.put(f"{path}/{named}", {**patched, "series": series}).ok()["series"] == series
    shown = cluster.get(f"{path}/{named}").ok()
    assert (shown["message"], shown["reason"], shown["series"]) == (patched["message"], "Test", series)

    cluster.delete(f"{path}/{named}").ok()
    assert cluster.get(f"{path}/{named}").status == 404
    assert cluster.get(every).ok()["items"] == []
    at = made["metadata"]["resourceVersion"]
    events = cluster.watch(path, lambda seen: seen[-1][0] == "DELETED", resourceVersion=at, labelSelector=f"case%3D{ns.name}")
    assert [kind for kind, _ in events] == ["MODIFIED", "MODIFIED", "DELETED"]


@conforms("[sig-instrumentation] Events should delete a collection of events")
def test_collection(cluster, ns):
    path = ns.path("events")
    mine = f"{path}?labelSelector=case%3D{ns.name}"
    for number in range(3):
        cluster.post(path, event(ns, f"event-{number}")).ok()
    cluster.patch(f"{path}/event-2", {"metadata": {"labels": {"case": "other"}}}).ok()
    assert len(cluster.get(mine).ok()["items"]) == 2
    cluster.delete(mine).ok()
    until(lambda: cluster.get(mine).ok()["items"] == [], "all of the label are gone")
    assert cluster.get(f"{path}/event-2").status == 200

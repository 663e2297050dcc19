"""Events of events.k8s.io."""

from support import conforms, name, until

API = "events.k8s.io/v1"


def event(ns, named, **more):
    return {
        "apiVersion": API,
        "kind": "Event",
        "metadata": {"name": named, "labels": {"case": ns.name}},
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "nobody", "namespace": ns.name},
        "eventTime": "2024-01-01T00:00:00.000000Z",
        "note": f"seen: {named}",
        "action": "Do",
        "reason": "Test",
        "type": "Normal",
        "reportingController": "gardener",
        "reportingInstance": "garden",
        **more,
    }


@conforms("[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed")
def test_lifecycle(cluster, ns):
    path, named = ns.path("events", API), name("event")
    mine = f"labelSelector=case%3D{ns.name}"

    def listed(where):
        return [it["metadata"]["name"] for it in cluster.get(f"{where}?{mine}").ok()["items"]]

    cluster.post(path, event(ns, named)).ok()
    assert listed(path) == listed(f"/apis/{API}/events") == [named]
    assert cluster.get(f"{path}?fieldSelector=reportingController%3Dgardener").ok()["items"]
    assert cluster.get(f"{path}?fieldSelector=reportingController%3Dother").ok()["items"] == []

    shown = cluster.get(f"{path}/{named}").ok()
    assert shown["note"] == f"seen: {named}" and shown["regarding"]["name"] == "nobody"
    series = {"count": 2, "lastObservedTime": "2014-01-01T00:00:00.000000Z"}
    assert cluster.patch(f"{path}/{named}", {"series": series}).ok()["series"] == series
    shown = cluster.get(f"{path}/{named}").ok()
    shown["series"] = {"count": 100, "lastObservedTime": "2014-01-02T00:00:00.000000Z"}
    cluster.put(f"{path}/{named}", shown).ok()
    assert cluster.get(f"{path}/{named}").ok()["series"]["count"] == 100
    # the same object by its older name
    older = ns.get(f"events/{named}")
    assert older["message"] == f"seen: {named}" and older["involvedObject"]["name"] == "nobody" and older["series"]["count"] == 100

    cluster.delete(f"{path}/{named}").ok()
    assert cluster.get(f"{path}/{named}").status == 404
    assert listed(f"/apis/{API}/events") == []


@conforms("[sig-instrumentation] Events API should delete a collection of events")
def test_collection(cluster, ns):
    path = ns.path("events", API)
    mine = f"{path}?labelSelector=case%3D{ns.name}"
    for number in range(3):
        cluster.post(path, event(ns, f"event-{number}")).ok()
    cluster.post(path, event(ns, "other", metadata={"name": "other"})).ok()
    assert len(cluster.get(mine).ok()["items"]) == 3
    cluster.delete(mine).ok()
    until(lambda: cluster.get(mine).ok()["items"] == [], "all of the label are gone")
    assert cluster.get(f"{path}/other").status == 200

"""LimitRanges: what pods get and may ask for."""

from support import conforms, edit, name, until

MIN = {"cpu": "50m", "memory": "100Mi", "ephemeral-storage": "100Gi"}
MAX = {"cpu": "500m", "memory": "500Mi", "ephemeral-storage": "500Gi"}
REQUEST = {"cpu": "100m", "memory": "200Mi", "ephemeral-storage": "200Gi"}
# no node is labelled so: it is only looked at what a pod is made of
NOWHERE = {"no": "node"}


@conforms("[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied.")
def test_defaults(ns, cluster):
    limit = {"type": "Container", "min": MIN, "max": MAX, "default": MAX, "defaultRequest": REQUEST, "maxLimitRequestRatio": {}}
    made = ns.create("limitranges", {"metadata": {"name": "limits"}, "spec": {"limits": [limit]}})
    assert ns.get("limitranges/limits")["spec"] == made["spec"]

    def pod(called, requests=None, limits=None):
        container = {"name": "main", "image": "busybox:1", "resources": {"requests": requests or {}, "limits": limits or {}}}
        spec = {"containers": [container], "nodeSelector": NOWHERE}
        return cluster.post(ns.path("pods"), {"metadata": {"name": called}, "spec": spec})

    def resources(answer):
        return answer.ok()["spec"]["containers"][0]["resources"]

    until(lambda: resources(pod(name("pod"))) == {"requests": REQUEST, "limits": MAX}, "what asks for nothing gets the defaults")
    part = {"cpu": "300m", "memory": "150Mi"}
    # a limit of its own is the request as well, before any default
    assert resources(pod("partial", part, {"cpu": "300m", "ephemeral-storage": "500Gi"})) == {
        "requests": {**part, "ephemeral-storage": "500Gi"}, "limits": {**MAX, "cpu": "300m"}
    }
    less = {"cpu": "10m", "memory": "50Mi", "ephemeral-storage": "50Gi"}
    more = {"cpu": "600m", "memory": "600Mi", "ephemeral-storage": "600Gi"}
    pod("less", less).refused(403, "minimum cpu usage per Container is 50m, but request is 10m", "minimum memory usage per Container")
    pod("more", None, more).refused(403, "maximum cpu usage per Container is 500m, but limit is 600m", "maximum memory usage per Container")

    edit(ns, "limitranges/limits", "v1", lambda it: it["spec"]["limits"][0].update(min=less))
    until(lambda: pod(name("less"), less).status == 201, "less is allowed now")
    pod("more", None, more).refused(403, "maximum cpu usage per Container is 500m, but limit is 600m")
    cluster.delete(ns.path("limitranges/limits")).ok()
    ns.until_gone("limitranges/limits")
    until(lambda: pod(name("more"), None, more).status == 201, "nothing limits any more")


@conforms("[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection")
def test_collection(ns, make_ns, cluster):
    case = name("limits")
    other = make_ns()
    limit = {"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "500m"}}
    for where in (ns, other):
        where.create("limitranges", {"metadata": {"name": "limits", "labels": {"case": case}}, "spec": {"limits": [limit]}})
    everywhere = f"/api/v1/limitranges?labelSelector=case%3D{case}"

    def found():
        return sorted(it["metadata"]["namespace"] for it in cluster.get(everywhere).ok()["items"])

    assert found() == sorted([ns.name, other.name])
    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"limits": [{"type": "Container", "min": {"cpu": "42m"}}]}}
    patched = cluster.patch(ns.path("limitranges/limits"), patch, kind="strategic-merge").ok()
    assert patched["metadata"]["labels"] == {"case": case, "patched": "true"}
    assert [it["min"]["cpu"] for it in patched["spec"]["limits"]] == ["42m"]
    cluster.delete(ns.path("limitranges?labelSelector=patched%3Dtrue")).ok()
    until(lambda: found() == [other.name], "that of the other namespace is left")

"""Endpoints: their own lifecycle, and those that follow a Service's pods."""

from support import conforms, edit, name, server, until

LABELS = {"app": "web"}


@conforms("[sig-network] Endpoints should test the lifecycle of an Endpoint")
def test_lifecycle(ns, cluster):
    case = name("endpoints")
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    body = {"metadata": {"name": "web", "labels": {"case": case}}, "subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": ports}]}
    made = ns.create("endpoints", body)
    everywhere = f"/api/v1/endpoints?labelSelector=case%3D{case}"
    assert [it["metadata"]["name"] for it in cluster.get(everywhere).ok()["items"]] == ["web"]
    edit(ns, "endpoints/web", "v1", lambda it: it["metadata"]["labels"].update(updated="true"))
    shown = ns.get("endpoints/web")
    assert shown["metadata"]["labels"]["updated"] == "true" and shown["subsets"] == made["subsets"]
    subsets = [{"addresses": [{"ip": "10.0.0.25"}], "ports": [{**ports[0], "port": 8080}]}]
    cluster.patch(ns.path("endpoints/web"), {"metadata": {"labels": {"patched": "true"}}, "subsets": subsets}).ok()
    assert ns.get("endpoints/web")["subsets"] == subsets
    cluster.delete(ns.path(f"endpoints?labelSelector=case%3D{case}")).ok()
    ns.until_gone("endpoints/web")
    at = made["metadata"]["resourceVersion"]
    events = cluster.watch(ns.path("endpoints"), lambda events: events[-1][0] == "DELETED", resourceVersion=at)
    assert [kind for kind, _ in events] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert events[1][1]["metadata"]["labels"] == {"case": case, "updated": "true", "patched": "true"}


@conforms("[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods")
def test_without_pods(ns, cluster):
    ns.create("services", {"metadata": {"name": "web"}, "spec": {"selector": LABELS, "ports": [{"port": 80}]}})
    until(lambda: cluster.get(ns.path("endpoints/web")).status == 200, "the endpoints")
    assert not ns.get("endpoints/web").get("subsets")
    cluster.delete(ns.path("services/web")).ok()
    ns.until_gone("endpoints/web")


@conforms("[sig-network] EndpointsController should create Endpoints for Pods matching a Service")
def test_of_pods(ns):
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    ns.create("services", {"metadata": {"name": "web"}, "spec": {"selector": LABELS, "ports": ports}})
    pods = {}
    for called, port in (("one", 3000), ("two", 3001)):
        server(ns, called, port, container={"ports": [{"name": "http", "containerPort": port}]}, metadata={"labels": LABELS})
        pods[called] = ns.until_ready(called)

    def shown(it):
        return {
            address["targetRef"]["name"]: (address["ip"], subset["ports"][0]["name"], subset["ports"][0]["port"])
            for subset in it.get("subsets", []) for address in subset.get("addresses", [])
        }

    at = {called: pod["status"]["podIP"] for called, pod in pods.items()}
    ns.until("endpoints/web", lambda it: shown(it) == {"one": (at["one"], "http", 3000), "two": (at["two"], "http", 3001)})

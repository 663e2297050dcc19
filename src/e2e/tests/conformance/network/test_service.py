"""Services: addresses, node ports, affinity, types, endpoints and status."""

import pytest
from support import condition, conforms, edit, name, server, udp_answer, udp_server, until

LABELS = {"app": "web"}
MACHINE = "203.0.113.1"


def service(ns, name_="web", labels=None, **spec):
    spec = {"selector": LABELS, "ports": [{"port": 80}], **spec}
    return ns.create("services", {"metadata": {"name": name_, "labels": labels or {}}, "spec": spec})


def servers(ns, number=2):
    names = [server(ns, f"web-{it}", metadata={"labels": LABELS}) for it in range(number)]
    for pod in [*names, ns.pod("sleep 100000", "client")]:
        ns.until_ready(pod)
    return names


def fetch(ns, address, port=80):
    return ns.exec("client", f"busybox timeout 2 wget -qO- http://{address}:{port}/").strip()


def until_answers(ns, names, address, port=80):
    """Waits until each of them has answered."""
    seen = set()
    until(lambda: seen.add(fetch(ns, address, port)) or set(names) <= seen, f"{names} at {address}:{port}")


@conforms("[sig-network] Services should serve a basic endpoint from pods")
def test_endpoints(ns, cluster):
    address = service(ns)["spec"]["clusterIP"]
    ns.pod("sleep 100000", "client")

    def endpoints():
        subsets = ns.get("endpoints/web").get("subsets") or []
        return {it["targetRef"]["name"] for subset in subsets for it in subset.get("addresses", []) if subset["ports"][0]["port"] == 80}

    until(lambda: cluster.get(ns.path("endpoints/web")).status == 200, "endpoints")
    assert endpoints() == set()
    ns.until_ready("client")
    for pod in ("one", "two"):
        server(ns, pod, metadata={"labels": LABELS})
        ns.until_ready(pod)
    until(lambda: endpoints() == {"one", "two"}, "both are endpoints")
    until_answers(ns, ["one", "two"], address)
    cluster.delete(ns.path("pods/one")).ok()
    until(lambda: endpoints() == {"two"}, "one is left")
    until(lambda: fetch(ns, address) == "two", "the other answers")
    cluster.delete(ns.path("pods/two")).ok()
    until(lambda: endpoints() == set(), "none is left")
    until(lambda: "refused" in fetch(ns, address), "nobody answers")


@conforms("[sig-network] Services should serve multiport endpoints from pods")
def test_ports(ns, cluster):
    ports = [{"name": "first", "port": 80, "targetPort": "first"}, {"name": "second", "port": 81, "targetPort": "second"}]
    address = service(ns, ports=ports)["spec"]["clusterIP"]
    ns.pod("sleep 100000", "client")
    for pod, port, called in (("one", 100, "first"), ("two", 101, "second")):
        container = {"ports": [{"name": called, "containerPort": port}]}
        server(ns, pod, port, metadata={"labels": LABELS}, container=container)
    for pod in ("client", "one", "two"):
        ns.until_ready(pod)

    def endpoints():
        subsets = ns.get("endpoints/web").get("subsets") or []
        return {a["targetRef"]["name"]: [p["port"] for p in it["ports"]] for it in subsets for a in it.get("addresses", [])}

    until(lambda: endpoints() == {"one": [100], "two": [101]}, "a port of each")
    until(lambda: (fetch(ns, address, 80), fetch(ns, address, 81)) == ("one", "two"), "each answers at its port")
    cluster.delete(ns.path("pods/one")).ok()
    until(lambda: endpoints() == {"two": [101]}, "one is left")
    until(lambda: "refused" in fetch(ns, address, 80) and fetch(ns, address, 81) == "two", "only that one answers")


@conforms("[sig-network] Services should serve endpoints on same port and different protocols")
def test_protocols(ns):
    ports = [{"name": protocol.lower(), "port": 80, "protocol": protocol} for protocol in ("TCP", "UDP")]
    address = service(ns, ports=ports)["spec"]["clusterIP"]
    for pod in (server(ns, "tcp", metadata={"labels": LABELS}), udp_server(ns, "udp", metadata={"labels": LABELS})):
        ns.until_ready(pod)
    ns.until_ready(ns.pod("sleep 100000", "client"))
    # each pod has one of the two; of some attempts one meets it
    until(lambda: fetch(ns, address) == "tcp", "it answers over TCP")
    until(lambda: udp_answer(address, 80) == "udp", "it answers over UDP")
    edit(ns, "services/web", "v1", lambda it: it["spec"].update(ports=ports[:1]))
    until(lambda: {udp_answer(address, 80) for _ in range(5)} == {None}, "no more over UDP")
    assert "tcp" in {fetch(ns, address) for _ in range(20)}
    edit(ns, "services/web", "v1", lambda it: it["spec"].update(ports=ports[1:]))
    until(lambda: udp_answer(address, 80) == "udp", "it answers over UDP again")
    assert "tcp" not in {fetch(ns, address) for _ in range(5)}


@conforms("[sig-network] Services should be able to create a functioning NodePort service")
def test_node_port(ns):
    names = servers(ns)
    spec = service(ns, type="NodePort")["spec"]
    port = spec["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    until_answers(ns, names, "web")
    until_answers(ns, names, spec["clusterIP"])
    until_answers(ns, names, MACHINE, port)


def check_affinity(ns, address, port, sticks):
    """Whether one client is always led to the same pod."""
    until(lambda: fetch(ns, address, port).startswith("web-"), "an answer")

    def answers():
        # one that takes too long says nothing
        return {it for it in (fetch(ns, address, port) for _ in range(10)) if it.startswith("web-")}

    # rules change a moment after the service
    until(lambda: (found := answers()) and (len(found) == 1) == sticks, f"sticks: {sticks}")
    assert not sticks or len(answers()) == 1


@pytest.mark.parametrize(
    ("kind", "switches"),
    [
        pytest.param(
            "ClusterIP", False,
            marks=conforms("[sig-network] Services should have session affinity work for service with type clusterIP [LinuxOnly]"),
        ),
        pytest.param(
            "NodePort", False,
            marks=conforms("[sig-network] Services should have session affinity work for NodePort service [LinuxOnly]"),
        ),
        pytest.param(
            "ClusterIP", True,
            marks=conforms("[sig-network] Services should be able to switch session affinity for service with type clusterIP [LinuxOnly]"),
        ),
        pytest.param(
            "NodePort", True,
            marks=conforms("[sig-network] Services should be able to switch session affinity for NodePort service [LinuxOnly]"),
        ),
    ],
)
def test_affinity(ns, kind, switches):
    servers(ns, 3)
    spec = service(ns, type=kind, sessionAffinity="ClientIP")["spec"]
    assert spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] == 10800
    at = (MACHINE, spec["ports"][0]["nodePort"]) if kind == "NodePort" else (spec["clusterIP"], 80)
    slices = "endpointslices?labelSelector=kubernetes.io/service-name%3Dweb"
    ns.until(slices, lambda it: sum(len(found["endpoints"]) for found in it["items"]) == 3, "discovery.k8s.io/v1")
    check_affinity(ns, *at, sticks=True)
    if switches:
        edit(ns, "services/web", "v1", lambda it: it["spec"].update(sessionAffinity="None", sessionAffinityConfig=None))
        check_affinity(ns, *at, sticks=False)
        edit(ns, "services/web", "v1", lambda it: it["spec"].update(sessionAffinity="ClientIP"))
        check_affinity(ns, *at, sticks=True)


def to_external(it):
    it["spec"] = {"type": "ExternalName", "externalName": f"other.{it['metadata']['namespace']}.svc.cluster.local"}


def to_kind(kind):
    def change(it):
        it["spec"] = {"type": kind, "selector": LABELS, "ports": [{"port": 80}]}

    return change


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "ClusterIP", marks=conforms("[sig-network] Services should be able to change the type from ExternalName to ClusterIP")
        ),
        pytest.param(
            "NodePort", marks=conforms("[sig-network] Services should be able to change the type from ExternalName to NodePort")
        ),
    ],
)
def test_from_external_name(ns, kind):
    names = servers(ns)
    made = ns.create("services", {"metadata": {"name": "web"}, "spec": {"type": "ExternalName", "externalName": "foo.example.com"}})
    assert "clusterIP" not in made["spec"]
    spec = edit(ns, "services/web", "v1", to_kind(kind))["spec"]
    assert spec["type"] == kind and spec["clusterIP"] and "externalName" not in spec
    until_answers(ns, names, "web")
    until_answers(ns, names, spec["clusterIP"])
    if kind == "NodePort":
        until_answers(ns, names, MACHINE, spec["ports"][0]["nodePort"])


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "ClusterIP", marks=conforms("[sig-network] Services should be able to change the type from ClusterIP to ExternalName")
        ),
        pytest.param(
            "NodePort", marks=conforms("[sig-network] Services should be able to change the type from NodePort to ExternalName")
        ),
    ],
)
def test_to_external_name(ns, kind):
    names = servers(ns)
    other = service(ns, "other")["spec"]["clusterIP"]
    spec = service(ns, type=kind)["spec"]
    changed = edit(ns, "services/web", "v1", to_external)["spec"]
    assert "clusterIP" not in changed and "nodePort" not in str(changed)
    said = until(
        lambda: "canonical name" in (it := ns.exec("client", f"nslookup web.{ns.name}.svc.cluster.local")) and it, "the name leads on"
    )
    assert f"other.{ns.name}.svc.cluster.local" in said and other in said
    until_answers(ns, names, "web")
    if kind == "NodePort":
        until(lambda: "refused" in fetch(ns, MACHINE, spec["ports"][0]["nodePort"]), "the port is free")
    # the address goes to whoever asks for it now
    until(lambda: ns.cluster.get(f"/apis/networking.k8s.io/v1/ipaddresses/{spec['clusterIP']}").status == 404, "the address is free")


@conforms("[sig-network] Services should find a service from listing all namespaces")
def test_all_namespaces(cluster):
    found = {(it["metadata"]["namespace"], it["metadata"]["name"]) for it in cluster.get("/api/v1/services").ok()["items"]}
    assert ("default", "kubernetes") in found


@conforms("[sig-network] Services should delete a collection of services")
def test_collection(ns, cluster):
    for number in range(3):
        service(ns, f"web-{number}", {"delete": "yes" if number else "no"})
    cluster.delete(ns.path("services?labelSelector=delete%3Dyes")).ok()
    until(lambda: [it["metadata"]["name"] for it in ns.get("services")["items"]] == ["web-0"], "one is left")


@conforms("[sig-network] Services should complete a service status lifecycle")
def test_status(ns, cluster):
    case = name("service")
    made = service(ns, labels={"case": case}, type="LoadBalancer")
    watched = {"labelSelector": f"case%3D{case}", "resourceVersion": made["metadata"]["resourceVersion"]}
    path = ns.path("services/web")
    assert cluster.get(f"{path}/status").ok()["spec"]["type"] == "LoadBalancer"
    patch = {"metadata": {"annotations": {"patched": "true"}}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    patched = cluster.patch(f"{path}/status", patch).ok()
    assert patched["metadata"]["annotations"]["patched"] == "true"
    assert patched["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"

    def add(body):
        said = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from a case"}
        body["status"]["conditions"] = [*body["status"].get("conditions", []), {**said, "lastTransitionTime": "2024-01-01T00:00:00Z"}]

    assert condition(edit(ns, "services/web/status", "v1", add), "StatusUpdate") == "True"
    cluster.patch(path, {"metadata": {"labels": {"patched": "true"}}}).ok()
    cluster.delete(path).ok()
    events = cluster.watch(ns.path("services"), lambda events: events[-1][0] == "DELETED", **watched)
    assert any(it["metadata"].get("annotations", {}).get("patched") for _, it in events)
    assert any(condition(it, "StatusUpdate") == "True" for _, it in events)
    assert events[-1][1]["metadata"]["labels"] == {"case": case, "patched": "true"}

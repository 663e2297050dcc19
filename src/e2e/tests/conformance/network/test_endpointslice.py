"""EndpointSlices: made for a Service's pods, and made by hand."""

from support import all_operations, conforms, server, until

GROUP = "discovery.k8s.io/v1"
LABELS = {"app": "web"}
OF_WEB = "endpointslices?labelSelector=kubernetes.io/service-name%3Dweb"


def service(ns, **spec):
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": 80}], **spec}
    return ns.create("services", {"metadata": {"name": "web"}, "spec": spec})["spec"]


def slice_of(ns, name, addresses, **ports):
    ports = [{"name": called, "port": port, "protocol": "TCP"} for called, port in ports.items()]
    labels = {"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "case"}
    endpoints = [{"addresses": [it], "conditions": {"ready": True}} for it in addresses]
    body = {"metadata": {"name": name, "labels": labels}, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}
    return ns.create("endpointslices", body, GROUP)


def fetch(ns, address, port=80):
    return ns.exec("client", f"busybox timeout 2 wget -qO- http://{address}:{port}/").strip()


def run(ns, **ports):
    """Pods that say their names at these ports, and a client; returns the addresses."""
    for called, port in ports.items():
        server(ns, called, port)
    ns.pod("sleep 100000", "client")
    return [ns.until_ready(it)["status"]["podIP"] for it in (*ports, "client")]


@conforms("[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods")
def test_without_pods(ns, cluster):
    service(ns, selector=LABELS)
    made = ns.until(OF_WEB, lambda it: len(it["items"]) == 1, GROUP)["items"][0]
    assert made["endpoints"] in (None, []) and made["metadata"]["ownerReferences"][0]["kind"] == "Service"
    until(lambda: cluster.get(ns.path("endpoints/web")).status == 200, "the endpoints")
    cluster.delete(ns.path("services/web")).ok()
    ns.until(OF_WEB, lambda it: not it["items"], GROUP)
    ns.until_gone("endpoints/web")


@conforms("[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service")
def test_of_pods(ns):
    ports = [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "other", "port": 81, "targetPort": 8081}]
    service(ns, selector=LABELS, ports=ports)
    pods = {}
    for called, port in (("one", 3000), ("two", 3001)):
        server(ns, called, port, container={"ports": [{"name": "http", "containerPort": port}]}, metadata={"labels": LABELS})
        pods[called] = ns.until_ready(called)

    def complete(listing):
        return sum(len(it.get("endpoints") or []) for it in listing["items"]) == 2

    slices = ns.until(OF_WEB, complete, GROUP)["items"]
    assert len(slices) == 2, "one for each set of port numbers"
    for it in slices:
        assert it["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
        (endpoint,) = it["endpoints"]
        pod = pods[endpoint["targetRef"]["name"]]
        assert endpoint["addresses"] == [pod["status"]["podIP"]] and endpoint["nodeName"] == pod["spec"]["nodeName"]
        assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
        port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
        assert {p["name"]: p["port"] for p in it["ports"]} == {"http": port, "other": 8081}

    def shown(it):
        return {
            (address["targetRef"]["name"], port["name"], port["port"])
            for subset in it.get("subsets", []) for address in subset.get("addresses", []) for port in subset["ports"]
        }

    wanted = {("one", "http", 3000), ("two", "http", 3001), ("one", "other", 8081), ("two", "other", 8081)}
    ns.until("endpoints/web", lambda it: shown(it) == wanted)


@conforms("[sig-network] EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices")
def test_several_addresses(ns):
    one, two, _ = run(ns, one=80, two=80)
    at = service(ns)["clusterIP"]
    for called, address in (("first", one), ("second", two)):
        slice_of(ns, called, [address], http=80)
    seen = set()
    until(lambda: seen.add(fetch(ns, at)) or {"one", "two"} <= seen, "both answer")


@conforms("[sig-network] EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices")
def test_several_ports(ns):
    one, two, _ = run(ns, one=8080, two=8081)
    ports = [{"name": "first", "port": 80, "targetPort": 8080}, {"name": "second", "port": 81, "targetPort": 8081}]
    at = service(ns, ports=ports)["clusterIP"]
    slice_of(ns, "first", [one], first=8080)
    slice_of(ns, "second", [two], second=8081)
    until(lambda: (fetch(ns, at, 80), fetch(ns, at, 81)) == ("one", "two"), "each answers at its port")


@conforms("[sig-network] EndpointSlice should support creating EndpointSlice API operations")
def test_operations(ns, cluster):
    endpoints = [{"addresses": ["1.2.3.4"], "conditions": {"ready": True}}]
    body = {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 80}]}
    all_operations(cluster, GROUP, "endpointslices", body, ns.name)

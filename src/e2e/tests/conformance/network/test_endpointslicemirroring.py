"""Endpoints that somebody made for a Service without selector are mirrored."""

from support import conforms, edit

GROUP = "discovery.k8s.io/v1"


@conforms("[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete")
def test_mirrored(ns, cluster):
    ns.create("services", {"metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}]}})
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    ns.create("endpoints", {"metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": ports}]})
    mirrored = "endpointslices?labelSelector=kubernetes.io/service-name%3Dweb"

    def shows(*wanted):
        def enough(listing):
            return [(at, it["ports"][0]["port"]) for it in listing["items"] for e in it["endpoints"] for at in e["addresses"]] == [*wanted]

        return ns.until(mirrored, enough, GROUP)["items"]

    (it,) = shows(("10.1.2.3", 80))
    assert it["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    assert it["ports"] == ports and it["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"

    def move(body):
        body["subsets"] = [{"addresses": [{"ip": "10.2.3.4"}], "ports": [{**ports[0], "port": 81}]}]

    edit(ns, "endpoints/web", "v1", move)
    shows(("10.2.3.4", 81))
    cluster.delete(ns.path("endpoints/web")).ok()
    shows()

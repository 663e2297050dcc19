"""The service of the API server itself."""

import json
import ssl
import urllib.request

from support import conforms

KUBERNETES = "/api/v1/namespaces/default/services/kubernetes"


@conforms("[sig-network] API Server should provide secure master service")
def test_service(cluster):
    ports = cluster.get(KUBERNETES).ok()["spec"]["ports"]
    assert [(it["name"], it["port"], it["protocol"]) for it in ports] == [("https", 443, "TCP")]


@conforms("[sig-network] API Server should have Endpoints and EndpointSlices pointing to API Server")
def test_endpoints(cluster):
    subset = cluster.get("/api/v1/namespaces/default/endpoints/kubernetes").ok()["subsets"][0]
    query = "labelSelector=kubernetes.io/service-name%3Dkubernetes"
    slices = cluster.get(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?{query}").ok()["items"]
    assert len(slices) == 1 and slices[0]["addressType"] == "IPv4"
    assert [it["ip"] for it in subset["addresses"]] == [at for it in slices[0]["endpoints"] for at in it["addresses"]]
    assert [it["port"] for it in subset["ports"]] == [it["port"] for it in slices[0]["ports"]]
    at = f"https://{subset['addresses'][0]['ip']}:{subset['ports'][0]['port']}/version"
    with urllib.request.urlopen(at, context=ssl._create_unverified_context(), timeout=30) as answer:
        assert "gitVersion" in json.load(answer)

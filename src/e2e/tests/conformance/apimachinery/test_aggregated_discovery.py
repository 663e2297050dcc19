"""All that is served, in one document."""

import pytest
from support import conforms, custom_kind, until, version


def accept(version):
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def document(cluster, path="/apis", version="v2"):
    return cluster.get(path, accept=accept(version)).ok()


def resources(shown):
    """(group, version, resource) with the resource as it is told."""
    return {
        (group["metadata"].get("name", ""), version["version"], it["resource"]): it
        for group in shown["items"]
        for version in group["versions"]
        for it in version["resources"]
    }


BUILT_IN = [
    ("", "v1", "namespaces"), ("", "v1", "pods"), ("", "v1", "nodes"), ("", "v1", "services"),
    ("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions"), ("apiregistration.k8s.io", "v1", "apiservices"),
    ("apps", "v1", "deployments"), ("apps", "v1", "statefulsets"), ("apps", "v1", "daemonsets"), ("apps", "v1", "replicasets"),
    ("authentication.k8s.io", "v1", "tokenreviews"), ("authorization.k8s.io", "v1", "subjectaccessreviews"),
    ("autoscaling", "v1", "horizontalpodautoscalers"), ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("batch", "v1", "jobs"), ("batch", "v1", "cronjobs"), ("certificates.k8s.io", "v1", "certificatesigningrequests"),
    ("coordination.k8s.io", "v1", "leases"), ("discovery.k8s.io", "v1", "endpointslices"),
    ("networking.k8s.io", "v1", "ingresses"), ("networking.k8s.io", "v1", "networkpolicies"),
    ("node.k8s.io", "v1", "runtimeclasses"), ("policy", "v1", "poddisruptionbudgets"), ("scheduling.k8s.io", "v1", "priorityclasses"),
]


@conforms("[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers")
def test_accept(cluster):
    for path in ("/api", "/apis"):
        shown = cluster.get(path, accept=accept("v2"))
        assert (shown.ok()["kind"], shown.json["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        assert shown.headers["Content-Type"].replace(" ", "") == accept("v2").replace(" ", "")
        both = cluster.get(path, accept=f"{accept('v9')},{accept('v2')},application/json")
        assert both.ok()["apiVersion"] == "apidiscovery.k8s.io/v2"
        plain = cluster.get(path)
        assert plain.ok()["kind"] == ("APIVersions" if path == "/api" else "APIGroupList")
        unknown = cluster.get(path, accept=f"{accept('v9')},application/json")
        assert unknown.ok()["kind"] == plain.json["kind"]


@conforms("[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface")
def test_built_in(cluster):
    told = {**resources(document(cluster, "/api")), **resources(document(cluster))}
    assert not set(BUILT_IN) - set(told)
    pods = told["", "v1", "pods"]
    assert pods["responseKind"]["kind"] == "Pod" and pods["scope"] == "Namespaced" and pods["shortNames"] == ["po"]
    assert "watch" in pods["verbs"] and {"exec", "log", "status"} <= {it["subresource"] for it in pods["subresources"]}
    assert told["", "v1", "nodes"]["scope"] == "Cluster"
    # what the plain documents say as well
    for group in cluster.get("/apis").ok()["groups"]:
        for gv in group["versions"]:
            named = {it["name"] for it in cluster.get(f"/apis/{gv['groupVersion']}").ok()["resources"] if "/" not in it["name"]}
            # some belong to cases that come and go beside this one
            if not group["name"].endswith("example.com"):
                assert named == {key[2] for key in told if key[:2] == (group["name"], gv["version"])}, gv


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(
            "kubectl", marks=conforms("[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs")
        ),
        pytest.param(
            "raw", marks=conforms("[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs")
        ),
    ],
)
def test_custom(cluster, client):
    with custom_kind(cluster, version("v1"), version("v2", storage=False)) as crd:
        if client == "kubectl":
            said = cluster.kubectl("api-resources", f"--api-group={crd.group}", "-o", "wide", "--cached=false")
            # of several versions that one is preferred that sorts first
            assert f"{crd.group}/v2" in said and "Foo" in said and "deletecollection" in said
        else:
            found = [until(lambda v=v: resources(document(cluster)).get((crd.group, v, "foos")), f"{v} is told") for v in ("v1", "v2")]
            for told in found:
                assert told["responseKind"]["kind"] == "Foo" and told["scope"] == "Namespaced" and told["singularResource"] == "foo"
            [group] = [it for it in document(cluster)["items"] if it["metadata"]["name"] == crd.group]
            assert [(it["version"], it.get("freshness")) for it in group["versions"]] == [("v2", "Current"), ("v1", "Current")]
    until(lambda: (crd.group, "v1", "foos") not in resources(document(cluster)), "it is told no more")

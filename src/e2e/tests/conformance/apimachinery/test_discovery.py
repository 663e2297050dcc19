"""Groups, versions and resources as clients find them."""

import pytest
from support import conforms


@conforms("[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup")
def test_preferred_version(cluster):
    groups = cluster.get("/apis").ok()["groups"]
    # those of other cases come and go beside this one
    groups = [it for it in groups if not it["name"].endswith("example.com")]
    assert len(groups) > 10
    for group in groups:
        shown = cluster.get(f"/apis/{group['name']}").ok()
        assert shown["kind"] == "APIGroup" and shown["preferredVersion"] == group["preferredVersion"]
        assert shown["preferredVersion"] in shown["versions"] and shown["versions"] == group["versions"]
        for version in shown["versions"]:
            assert version["groupVersion"] == f"{group['name']}/{version['version']}"


@conforms("[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup")
@pytest.mark.parametrize(
    ("api", "resource"),
    [
        ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
        ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
        ("apiregistration.k8s.io/v1", "apiservices"),
        ("apps/v1", "deployments"),
        ("authentication.k8s.io/v1", "tokenreviews"),
        ("authorization.k8s.io/v1", "selfsubjectaccessreviews"),
        ("autoscaling/v1", "horizontalpodautoscalers"),
        ("autoscaling/v2", "horizontalpodautoscalers"),
        ("batch/v1", "jobs"),
        ("certificates.k8s.io/v1", "certificatesigningrequests"),
        ("coordination.k8s.io/v1", "leases"),
        ("discovery.k8s.io/v1", "endpointslices"),
        ("events.k8s.io/v1", "events"),
        ("networking.k8s.io/v1", "ingresses"),
        ("node.k8s.io/v1", "runtimeclasses"),
        ("policy/v1", "poddisruptionbudgets"),
        ("scheduling.k8s.io/v1", "priorityclasses"),
        ("storage.k8s.io/v1", "csinodes"),
    ],
)
def test_groups(cluster, api, resource):
    group, version = api.split("/")
    [listed] = [it for it in cluster.get("/apis").ok()["groups"] if it["name"] == group]
    assert {"groupVersion": api, "version": version} in listed["versions"]
    assert {"groupVersion": api, "version": version} in cluster.get(f"/apis/{group}").ok()["versions"]
    shown = cluster.get(f"/apis/{api}").ok()
    assert (shown["kind"], shown["groupVersion"]) == ("APIResourceList", api)
    assert resource in [it["name"] for it in shown["resources"]]

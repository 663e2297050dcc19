"""Policies of expressions that change."""

from contextlib import contextmanager

from support import BUSYBOX, all_operations, conforms, name, until

API = "admissionregistration.k8s.io/v1"
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}


def spec_of(mutation, rule=DEPLOYMENTS):
    return {
        "matchConstraints": {"resourceRules": [rule]},
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
        "mutations": [mutation],
    }


def applied(expression):
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


@contextmanager
def policy(cluster, ns, mutation):
    """In force for deployments of the namespace."""
    made = name("policy")
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns.name}}}
    policies, bindings = (f"/apis/{API}/mutatingadmissionpolic{end}" for end in ("ies", "ybindings"))
    cluster.post(policies, {"metadata": {"name": made}, "spec": spec_of(mutation)}).ok()
    try:
        cluster.post(bindings, {"metadata": {"name": made}, "spec": {"policyName": made, "matchResources": selected}}).ok()
        yield
    finally:
        cluster.delete(f"{bindings}/{made}")
        cluster.delete(f"{policies}/{made}")


def deploy(cluster, ns, query="", **metadata):
    label = {"app": "web"}
    # whether pods run does not matter here
    spec = {"containers": [{"name": "main", "image": BUSYBOX}], "nodeSelector": {"no": "node"}}
    template = {"metadata": {"labels": label}, "spec": spec}
    manifest = {"metadata": {"generateName": "web-", **metadata}, "spec": {"selector": {"matchLabels": label}, "template": template}}
    return cluster.post(ns.path("deployments", "apps/v1") + query, manifest).ok()


@conforms("[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment")
def test_mutate(cluster, ns, make_ns):
    with policy(cluster, ns, applied("Object{spec: Object.spec{replicas: object.spec.replicas + 3}}")):
        until(lambda: deploy(cluster, ns, "?dryRun=All")["spec"]["replicas"] == 4, "the policy is in force")
        made = deploy(cluster, ns)
        assert made["spec"]["replicas"] == 4
        assert ns.get(f"deployments/{made['metadata']['name']}", "apps/v1")["spec"]["replicas"] == 4
        assert deploy(cluster, make_ns())["spec"]["replicas"] == 1


@conforms("[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment with annotations")
def test_annotations(cluster, ns):
    added = 'Object{metadata: Object.metadata{annotations: {"added": "by-policy"}}}'
    with policy(cluster, ns, applied(added)):
        until(lambda: "annotations" in deploy(cluster, ns, "?dryRun=All")["metadata"], "the policy is in force")
        assert deploy(cluster, ns)["metadata"]["annotations"]["added"] == "by-policy"
        mine = deploy(cluster, ns, annotations={"mine": "kept"})["metadata"]["annotations"]
        assert (mine["mine"], mine["added"]) == ("kept", "by-policy")


@conforms("[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicy API operations")
def test_policy_operations(cluster):
    rule = {**DEPLOYMENTS, "apiGroups": ["nowhere.example.com"]}
    spec = spec_of(applied("Object{}"), rule)
    all_operations(cluster, API, "mutatingadmissionpolicies", {"apiVersion": API, "kind": "MutatingAdmissionPolicy", "spec": spec})


@conforms(
    "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicyBinding API operations"
)
def test_binding_operations(cluster):
    body = {"apiVersion": API, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": "nothing-of-this-name"}}
    all_operations(cluster, API, "mutatingadmissionpolicybindings", body)

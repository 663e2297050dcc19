"""Policies of expressions that refuse."""

from contextlib import contextmanager

from support import BUSYBOX, all_operations, conforms, name, until

API = "admissionregistration.k8s.io/v1"
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
RULES = {"resourceRules": [DEPLOYMENTS]}


@contextmanager
def policy(cluster, ns, **spec):
    """In force for deployments of the namespace."""
    made = name("policy")
    spec = {"failurePolicy": "Fail", "matchConstraints": RULES, **spec}
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns.name}}}
    binding = {"policyName": made, "validationActions": ["Deny"], "matchResources": selected}
    policies, bindings = (f"/apis/{API}/validatingadmissionpolic{end}" for end in ("ies", "ybindings"))
    cluster.post(policies, {"metadata": {"name": made}, "spec": spec}).ok()
    try:
        cluster.post(bindings, {"metadata": {"name": made}, "spec": binding}).ok()
        yield f"{policies}/{made}"
    finally:
        cluster.delete(f"{bindings}/{made}")
        cluster.delete(f"{policies}/{made}")


def deploy(cluster, ns, replicas, dry_run=False, resource="deployments"):
    label = {"app": "web"}
    # whether pods run does not matter here
    spec = {"containers": [{"name": "main", "image": BUSYBOX}], "nodeSelector": {"no": "node"}}
    template = {"metadata": {"labels": label}, "spec": spec}
    manifest = {
        "metadata": {"generateName": "web-"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": label}, "template": template},
    }
    return cluster.post(ns.path(resource, "apps/v1") + ("?dryRun=All" if dry_run else ""), manifest)


def in_force(cluster, ns):
    until(lambda: deploy(cluster, ns, 1, dry_run=True).status == 422, "the policy is in force")


@conforms("[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate against a Deployment")
def test_validate(cluster, ns, make_ns):
    validations = [
        {"expression": "object.spec.replicas > 1", "messageExpression": "'too few: ' + string(object.spec.replicas)"},
        {"expression": f"namespaceObject.metadata.name == '{ns.name}'", "message": "another namespace"},
    ]
    with policy(cluster, ns, validations=validations) as path:
        assert cluster.get(path).ok()["spec"]["validations"] == validations
        in_force(cluster, ns)
        words = ("ValidatingAdmissionPolicy '", "denied request: too few: 1")
        deploy(cluster, ns, 1).refused(422, "Invalid", *words)
        made = deploy(cluster, ns, 2).ok()["metadata"]["name"]
        cluster.patch(ns.path(f"deployments/{made}", "apps/v1"), {"spec": {"replicas": 1}}).refused(422, *words)
        deploy(cluster, ns, 1, resource="replicasets").ok()
        deploy(cluster, make_ns(), 1).ok()


@conforms("[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow expressions to refer variables.")
def test_variables(cluster, ns):
    variables = [
        {"name": "count", "expression": "object.spec.replicas"},
        {"name": "isOdd", "expression": "variables.count % 2 != 0"},
    ]
    validations = [
        {"expression": "variables.count > 1"},
        {"expression": "variables.isOdd"},
    ]
    with policy(cluster, ns, variables=variables, validations=validations):
        in_force(cluster, ns)
        deploy(cluster, ns, 1).refused(422, "failed expression: variables.count > 1")
        deploy(cluster, ns, 2).refused(422, "failed expression: variables.isOdd")
        deploy(cluster, ns, 3).ok()


@conforms("[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicy API operations")
def test_policy_operations(cluster):
    rule = {**DEPLOYMENTS, "apiGroups": ["nowhere.example.com"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}
    body = {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "spec": spec}
    told = {"type": "Case", "status": "True", "reason": "Case", "message": "told by a case", "lastTransitionTime": "2024-01-01T00:00:00Z"}
    all_operations(cluster, API, "validatingadmissionpolicies", body, status={"conditions": [told]})


@conforms(
    "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicyBinding API operations"
)
def test_binding_operations(cluster):
    spec = {"policyName": "nothing-of-this-name", "validationActions": ["Deny"]}
    body = {"apiVersion": API, "kind": "ValidatingAdmissionPolicyBinding", "spec": spec}
    all_operations(cluster, API, "validatingadmissionpolicybindings", body)

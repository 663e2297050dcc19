"""Webhooks that refuse and change what is written."""

import base64
import json
import threading
from contextlib import contextmanager

import pytest
from servers import https_server
from support import BUSYBOX, VERBS, conforms, custom_kind, name, until, version

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
KINDS = {"mutating": "MutatingWebhookConfiguration", "validating": "ValidatingWebhookConfiguration"}
CONFIG_MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}


@contextmanager
def hooks(review, *services):
    """A server whose response to a request is `review(request)`; yields what makes a webhook of it."""

    def answer(_method, _path, _headers, body):
        response = {"uid": body["request"]["uid"], **review(body["request"])}
        return 200, {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}

    with https_server(answer, *services) as server:

        def hook(rule=CONFIG_MAPS, ns=None, **more):
            bundle = base64.b64encode(server.authority).decode()
            selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns.name}}} if ns else {}
            return {
                "name": "hook.example.com",
                "clientConfig": {"url": f"https://127.0.0.1:{server.port}/", "caBundle": bundle},
                "rules": [rule],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                **selected,
                **more,
            }

        hook.port = server.port
        yield hook


def path_of(kind):
    return f"{REGISTRATION}/{kind}webhookconfigurations"


@contextmanager
def configured(cluster, kind, *webhooks, labels=None):
    """Yields the path of a configuration with these webhooks."""
    made = name("hooks")
    manifest = {"metadata": {"name": made, "labels": labels or {}}, "webhooks": list(webhooks)}
    cluster.post(path_of(kind), manifest).ok()
    try:
        yield f"{path_of(kind)}/{made}"
    finally:
        cluster.delete(f"{path_of(kind)}/{made}")


def denied(_request=None):
    return {"allowed": False, "status": {"message": "not while I watch"}}


DENIED = 'admission webhook "hook.example.com" denied the request: not while I watch'


def patch(*operations):
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def stages(request):
    """Adds the first stage to who has the start, and the second to who has the first."""
    data = request["object"].get("data", {})
    for before, after in (("first", "second"), ("begin", "first")):
        if data.get(before) == "yes" and after not in data:
            return patch({"op": "add", "path": f"/data/{after}", "value": "yes"})
    return {"allowed": True}


def review_of(kind):
    return stages if kind == "mutating" else denied


def works(ns, kind):
    """Whether the webhook of `review_of` has its effect on a new config map."""
    made = ns.cluster.post(ns.path("configmaps"), {"metadata": {"name": name("map")}, "data": {"begin": "yes"}})
    if kind == "mutating":
        return "first" in made.ok()["data"]
    if made.status < 300:
        return False
    made.refused(400, json.dumps(DENIED))
    return True


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "mutating",
            marks=conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing mutating webhooks should work"),
        ),
        pytest.param(
            "validating",
            marks=conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing validating webhooks should work"),
        ),
    ],
)
def test_listing(cluster, ns, kind):
    some = f"{path_of(kind)}?labelSelector=case%3D{ns.name}"
    try:
        with hooks(review_of(kind)) as hook:
            for number in range(10):
                metadata = {"name": f"{ns.name}-{number}", "labels": {"case": ns.name}}
                cluster.post(path_of(kind), {"metadata": metadata, "webhooks": [hook(ns=ns)]}).ok()
            assert len(cluster.get(some).ok()["items"]) == 10
            until(lambda: works(ns, kind), "the webhooks work")
            cluster.delete(some).ok()
            assert cluster.get(some).ok()["items"] == []
            until(lambda: not works(ns, kind), "the webhooks are gone")
    finally:
        cluster.delete(some)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "mutating",
            marks=conforms(
                "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a mutating webhook should work"
            ),
        ),
        pytest.param(
            "validating",
            marks=conforms(
                "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a validating webhook should work"
            ),
        ),
    ],
)
def test_changed_rules(cluster, ns, kind):
    with hooks(review_of(kind)) as hook, configured(cluster, kind, hook(ns=ns)) as path:
        until(lambda: works(ns, kind), "the webhook works")
        shown = cluster.get(path).ok()
        shown["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
        cluster.put(path, shown).ok()
        until(lambda: not works(ns, kind), "the webhook is not asked about creations")
        cluster.patch(path, [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}], kind="json").ok()
        until(lambda: works(ns, kind), "the webhook works again")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "mutating",
            marks=conforms(
                "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update mutating webhook configurations with match conditions"
            ),
        ),
        pytest.param(
            "validating",
            marks=conforms(
                "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update validating webhook configurations with match conditions"
            ),
        ),
    ],
)
def test_match_conditions(cluster, ns, kind):
    first = [{"name": "one", "expression": "request.resource.group == ''"}]
    then = [{"name": "one", "expression": "object.metadata.name != 'x'"}, {"name": "two", "expression": "request.operation == 'CREATE'"}]
    with hooks(review_of(kind)) as hook, configured(cluster, kind, hook(ns=ns, matchConditions=first)) as path:
        shown = cluster.get(path).ok()
        assert shown["webhooks"][0]["matchConditions"] == first
        shown["webhooks"][0]["matchConditions"] = then
        assert cluster.put(path, shown).ok()["webhooks"][0]["matchConditions"] == then
        assert cluster.get(path).ok()["webhooks"][0]["matchConditions"] == then


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "mutating",
            marks=conforms(
                "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject mutating webhook configurations with invalid match conditions"
            ),
        ),
        pytest.param(
            "validating",
            marks=conforms(
                "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject validating webhook configurations with invalid match conditions"
            ),
        ),
    ],
)
def test_bad_match_conditions(cluster, ns, kind):
    with hooks(denied) as hook:
        webhook = hook(ns=ns, matchConditions=[{"name": "bad", "expression": "1 +"}])
        manifest = {"metadata": {"name": name("hooks")}, "webhooks": [webhook]}
        made = cluster.post(path_of(kind), manifest)
        made.refused(422, KINDS[kind], "webhooks[0].matchConditions[0].expression", "compilation failed")


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should include webhook resources in discovery documents")
def test_discovery(cluster):
    [group] = [it for it in cluster.get("/apis").ok()["groups"] if it["name"] == "admissionregistration.k8s.io"]
    served = {"groupVersion": "admissionregistration.k8s.io/v1", "version": "v1"}
    assert served in group["versions"]
    assert served in cluster.get("/apis/admissionregistration.k8s.io").ok()["versions"]
    resources = {it["name"]: it for it in cluster.get(REGISTRATION).ok()["resources"]}
    for kind, said in KINDS.items():
        shown = resources[f"{kind}webhookconfigurations"]
        assert (shown["kind"], shown["namespaced"], set(shown["verbs"])) == (said, False, VERBS)


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation")
def test_deny_pods_and_config_maps(cluster, ns, make_ns):
    over = threading.Event()

    def review(request):
        made = request["object"]
        if made["metadata"]["name"] == "hangs":
            over.wait(20)
        images = [it["image"] for it in made.get("spec", {}).get("containers", [])]
        bad = "bad" in images or made.get("data", {}).get("bad") == "yes"
        return denied() if bad else {"allowed": True}

    host = f"hooks.{ns.name}.svc"
    with hooks(review, host) as hook:
        ns.apply(f"""
            apiVersion: v1
            kind: Service
            metadata: {{name: hooks}}
            spec: {{ports: [{{port: 8443}}]}}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {{name: hooks, labels: {{kubernetes.io/service-name: hooks}}}}
            addressType: IPv4
            endpoints: [{{addresses: [203.0.113.1]}}]
            ports: [{{port: {hook.port}}}]
        """)
        rule = {**CONFIG_MAPS, "resources": ["configmaps", "pods"], "operations": ["CREATE", "UPDATE"]}
        webhook = hook(rule, ns, timeoutSeconds=10)
        service = {"namespace": ns.name, "name": "hooks", "port": 8443}
        webhook["clientConfig"] = {"service": service, "caBundle": webhook["clientConfig"]["caBundle"]}
        slow = {**webhook, "timeoutSeconds": 1}
        slow["matchConditions"] = [{"name": "hangs", "expression": "object.metadata.name == 'hangs'"}]
        webhook["matchConditions"] = [{"name": "others", "expression": "object.metadata.name != 'hangs'"}]
        with configured(cluster, "validating", webhook, {**slow, "name": "slow.example.com"}):
            pods, maps = ns.path("pods"), ns.path("configmaps")
            pod = {"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "main", "image": "bad"}]}}
            bad = {"metadata": {"name": "map"}, "data": {"bad": "yes"}}
            until(lambda: cluster.post(f"{maps}?dryRun=All", bad).status == 400, "the webhook can be reached")
            cluster.post(pods, pod).refused(400, json.dumps(DENIED))
            pod["metadata"]["name"] = "hangs"
            cluster.post(pods, pod).refused(500, 'failed calling webhook \\"slow.example.com\\"', "deadline")
            over.set()
            cluster.post(maps, bad).refused(400, json.dumps(DENIED))
            good = cluster.post(maps, {"metadata": {"name": "map"}, "data": {"good": "yes"}}).ok()
            cluster.put(f"{maps}/map", {**good, **{"data": {"bad": "yes"}}}).refused(400, json.dumps(DENIED))
            cluster.patch(f"{maps}/map", {"data": {"bad": "yes"}}).refused(400, json.dumps(DENIED))
            assert cluster.get(f"{maps}/map").ok()["data"] == {"good": "yes"}
            cluster.post(make_ns().path("configmaps"), bad).ok()


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny attaching pod")
def test_deny_attach(cluster, ns):
    ns.pod("cat", container={"stdin": True, "stdinOnce": True})
    ns.until_phase("pod", "Running")
    rule = {**CONFIG_MAPS, "resources": ["pods/attach"], "operations": ["CONNECT"]}
    with hooks(denied) as hook, configured(cluster, "validating", hook(rule, ns)):
        assert DENIED in cluster.kubectl("attach", "-n", ns.name, "pod", "-i", "-c", "main", stdin="", fails=True)


@conforms(
    "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny custom resource creation, update and deletion"
)
def test_deny_custom(cluster, ns):
    def review(request):
        new, old = (request.get(key) or {"data": {}} for key in ("object", "oldObject"))
        bad = new["data"].get("bad") == "yes" or request["operation"] == "DELETE" and old["data"].get("kept") == "yes"
        return denied() if bad else {"allowed": True}

    with custom_kind(cluster) as crd, hooks(review) as hook:
        rule = {"apiGroups": [crd.group], "apiVersions": ["*"], "resources": ["foos"], "operations": ["CREATE", "UPDATE", "DELETE"]}
        api = f"{crd.group}/v1"
        foo = {"apiVersion": api, "kind": "Foo", "metadata": {"name": "foo"}, "data": {"kept": "yes"}}
        with configured(cluster, "validating", hook(rule, ns)):
            foos, one = ns.path("foos", api), ns.path("foos/foo", api)
            cluster.post(foos, {**foo, "data": {"bad": "yes"}}).refused(400, json.dumps(DENIED))
            cluster.post(foos, foo).ok()
            cluster.patch(one, {"data": {"bad": "yes"}}).refused(400, json.dumps(DENIED))
            cluster.delete(one).refused(400, json.dumps(DENIED))
            cluster.patch(one, {"data": {"kept": None}}).ok()
            cluster.delete(one).ok()
            ns.until_gone("foos/foo", api)


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should deny crd creation")
def test_deny_definition(cluster):
    label = {"case": name("definition")}
    rule = {**CONFIG_MAPS, "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"]}
    with hooks(denied) as hook, configured(cluster, "validating", hook(rule, objectSelector={"matchLabels": label})):
        manifest = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "foos.denied.example.com", "labels": label},
            "spec": {
                "group": "denied.example.com",
                "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
                "scope": "Namespaced",
                "versions": [version()],
            },
        }
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        cluster.post(path, manifest).refused(400, json.dumps(DENIED))
        assert cluster.get(f"{path}/foos.denied.example.com").status == 404


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should honor timeout")
@pytest.mark.parametrize(
    ("timeout", "policy", "taken"),
    [(1, "Fail", False), (1, "Ignore", True), (5, "Fail", True), (None, "Fail", True)],
)
def test_timeout(cluster, ns, timeout, policy, taken):
    over = threading.Event()

    def review(_request):
        over.wait(2.5)
        return {"allowed": True}

    more = {"timeoutSeconds": timeout} if timeout else {}
    with hooks(review) as hook, configured(cluster, "validating", hook(ns=ns, failurePolicy=policy, **more)) as path:
        assert cluster.get(path).ok()["webhooks"][0]["timeoutSeconds"] == (timeout or 10)
        made = cluster.post(ns.path("configmaps"), {"metadata": {"name": "map"}})
        if taken:
            made.ok()
        else:
            made.refused(500, 'failed calling webhook \\"hook.example.com\\"', "context deadline exceeded")


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate configmap")
def test_mutate_config_map(cluster, ns):
    with hooks(stages) as hook:
        with configured(cluster, "mutating", hook(ns=ns, name="a.example.com"), hook(ns=ns, name="b.example.com")):
            made = cluster.post(ns.path("configmaps"), {"metadata": {"name": "map"}, "data": {"begin": "yes"}}).ok()
            assert made["data"] == {"begin": "yes", "first": "yes", "second": "yes"}
            assert ns.get("configmaps/map")["data"] == made["data"]


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate everything except 'skip-me' configmaps")
def test_mutate_by_condition(cluster, ns):
    with hooks(stages) as hook:
        condition = {"name": "skip", "expression": "object.metadata.name != 'spared'"}
        with configured(cluster, "mutating", hook(ns=ns, matchConditions=[condition])):
            for named, keys in (("spared", {"begin"}), ("other", {"begin", "first"})):
                made = cluster.post(ns.path("configmaps"), {"metadata": {"name": named}, "data": {"begin": "yes"}}).ok()
                assert set(made["data"]) == keys


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate pod and apply defaults after mutation")
def test_mutate_pod(cluster, ns):
    added = patch({"op": "add", "path": "/spec/initContainers", "value": [{"name": "added", "image": BUSYBOX, "command": ["true"]}]})
    with hooks(lambda _: added) as hook, configured(cluster, "mutating", hook({**CONFIG_MAPS, "resources": ["pods"]}, ns)):
        ns.pod("true")
        [container] = ns.get("pods/pod")["spec"]["initContainers"]
        assert container["name"] == "added"
        assert container["terminationMessagePolicy"] == "File" and container["terminationMessagePath"] == "/dev/termination-log"
        assert container["imagePullPolicy"] == "IfNotPresent"


def custom_stages(cluster, ns, crd):
    """Creates a custom object while two webhooks change such."""
    rule = {"apiGroups": [crd.group], "apiVersions": ["v1"], "resources": ["foos"], "operations": ["CREATE", "UPDATE"]}
    api = f"{crd.group}/v1"
    foo = {"apiVersion": api, "kind": "Foo", "metadata": {"name": "foo"}, "data": {"begin": "yes"}}
    with hooks(stages) as hook:
        with configured(cluster, "mutating", hook(rule, ns, name="a.example.com"), hook(rule, ns, name="b.example.com")):
            return cluster.post(ns.path("foos", api), foo).ok()["data"]


ALL_STAGES = {"begin": "yes", "first": "yes", "second": "yes"}


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource")
def test_mutate_custom(cluster, ns):
    with custom_kind(cluster) as crd:
        assert custom_stages(cluster, ns, crd) == ALL_STAGES
        assert ns.get("foos/foo", f"{crd.group}/v1")["data"] == ALL_STAGES


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with pruning")
def test_mutate_custom_with_pruning(cluster, ns):
    known = {key: {"type": "string"} for key in ("begin", "first")}
    with custom_kind(cluster, version(properties={"data": {"type": "object", "properties": known}})) as crd:
        assert custom_stages(cluster, ns, crd) == {"begin": "yes", "first": "yes"}


@conforms("[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with different stored version")
def test_mutate_custom_of_other_version(cluster, ns):
    with custom_kind(cluster, version("v1"), version("v2", storage=False)) as crd:
        assert custom_stages(cluster, ns, crd) == ALL_STAGES
        stored = [{"op": "replace", "path": f"/spec/versions/{at}/storage", "value": at == 1} for at in (0, 1)]
        cluster.patch(crd.path, stored, kind="json").ok()
        until(lambda: "v2" in cluster.get(crd.path).ok()["status"]["storedVersions"], "v2 is stored")
        patched = cluster.patch(ns.path("foos/foo", f"{crd.group}/v1"), {"data": {"more": "yes"}}).ok()
        assert patched["data"] == {**ALL_STAGES, "more": "yes"}
        shown = ns.get("foos/foo", f"{crd.group}/v2")
        assert shown["data"] == patched["data"] and shown["apiVersion"] == f"{crd.group}/v2"


@conforms(
    "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should not be able to mutate or prevent deletion of webhook configuration objects"
)
def test_configurations_are_left_alone(cluster, ns):
    rule = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "apiVersions": ["*"],
        "resources": ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
        "operations": ["*"],
    }
    label = {"case": ns.name}
    mine = {"objectSelector": {"matchLabels": label}}
    asked = []

    def review(request):
        asked.append(request)
        return denied()

    with hooks(review) as hook:
        with configured(cluster, "validating", hook(rule, **mine)), configured(cluster, "mutating", hook(rule, **mine)):
            for kind in KINDS:
                with configured(cluster, kind, hook(ns=ns), labels=label) as path:
                    cluster.delete(path).ok()
                    assert cluster.get(path).status == 404
    assert asked == []


@conforms(
    "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should unconditionally reject operations on fail closed webhook"
)
def test_fail_closed(cluster, ns):
    with hooks(lambda _: {"allowed": True}) as hook:
        webhook = hook(ns=ns, failurePolicy="Fail")
        webhook["clientConfig"] = {"service": {"namespace": ns.name, "name": "nobody", "path": "/x"}}
        with configured(cluster, "validating", webhook):
            made = cluster.post(ns.path("configmaps"), {"metadata": {"name": "map"}})
            made.refused(500, "InternalError", 'failed calling webhook \\"hook.example.com\\"')

"""Definitions of custom kinds, and defaults of their objects."""

from support import VERBS, condition, conforms, custom_kind, name, until, version

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@conforms(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works"
)
def test_create_and_delete(cluster):
    with custom_kind(cluster) as crd:
        shown = cluster.get(crd.path).ok()
        assert condition(shown, "Established") == "True" and condition(shown, "NamesAccepted") == "True"
        assert shown["status"]["acceptedNames"]["kind"] == "Foo" and shown["status"]["storedVersions"] == ["v1"]
        assert cluster.get(f"/apis/{crd.group}/v1/foos").ok()["kind"] == "FooList"
        cluster.delete(crd.path).ok()
        until(lambda: cluster.get(crd.path).status == 404, "the definition is gone")
        until(lambda: cluster.get(f"/apis/{crd.group}/v1/foos").status == 404, "the kind is gone")


@conforms(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition listing custom resource definition objects works"
)
def test_list(cluster):
    label = name("list")
    some = f"{DEFINITIONS}?labelSelector=case%3D{label}"
    kinds = [custom_kind(cluster) for _ in range(10)]
    made = [kind.__enter__() for kind in kinds]
    try:
        for crd in made:
            cluster.patch(crd.path, {"metadata": {"labels": {"case": label}}}).ok()
        assert {it["metadata"]["name"] for it in cluster.get(some).ok()["items"]} == {crd.name for crd in made}
        cluster.delete(some).ok()
        until(lambda: not cluster.get(some).ok()["items"], "they are gone")
    finally:
        for kind in kinds:
            kind.__exit__(None, None, None)


@conforms(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works"
)
def test_status(cluster):
    with custom_kind(cluster) as crd:
        path = f"{crd.path}/status"
        shown = cluster.get(path).ok()
        assert condition(shown, "Established") == "True"

        def told(kind):
            return {"type": kind, "status": "True", "reason": "Case", "message": "told by a case"}

        def change(shown):
            shown["status"]["conditions"].append(told("Updated"))
            shown["spec"]["names"]["shortNames"] = ["ignored"]

        updated = cluster.update(path, change)
        assert condition(updated, "Updated") == "True" and "shortNames" not in updated["spec"]["names"]
        conditions = [*updated["status"]["conditions"], told("Patched")]
        patched = cluster.patch(path, {"status": {"conditions": conditions}}).ok()
        assert condition(patched, "Updated") == "True" and condition(patched, "Patched") == "True"
        assert condition(cluster.get(crd.path).ok(), "Patched") == "True"
        # what a condition must have is not asked of this kind
        bare = [{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}]
        assert "patched" in [it.get("message") for it in cluster.patch(path, bare, kind="json").ok()["status"]["conditions"]]


@conforms(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents"
)
def test_discovery(cluster):
    [group] = [it for it in cluster.get("/apis").ok()["groups"] if it["name"] == "apiextensions.k8s.io"]
    served = {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"}
    assert served in group["versions"]
    assert served in cluster.get("/apis/apiextensions.k8s.io").ok()["versions"]
    [found] = [it for it in cluster.get("/apis/apiextensions.k8s.io/v1").ok()["resources"] if it["name"] == "customresourcedefinitions"]
    assert (found["kind"], found["namespaced"], set(found["verbs"])) == ("CustomResourceDefinition", False, VERBS)


@conforms(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works"
)
def test_defaults(cluster, ns):
    def schema(**defaults):
        fields = {key: {"type": "string", **({"default": defaults[key]} if key in defaults else {})} for key in ("a", "b", "c")}
        return version(properties=fields)["schema"]

    with custom_kind(cluster, version(properties={key: {"type": "string"} for key in ("a", "b", "c")})) as crd:
        api = f"{crd.group}/v1"
        foos = ns.path("foos", api)

        def create(named):
            return cluster.post(foos, {"apiVersion": api, "kind": "Foo", "metadata": {"name": named}}).ok()

        def fields(shown):
            return {key: shown[key] for key in ("a", "b", "c") if key in shown}

        def redefine(**defaults):
            cluster.patch(crd.path, [{"op": "replace", "path": "/spec/versions/0/schema", "value": schema(**defaults)}], kind="json").ok()
            probe = {"apiVersion": api, "kind": "Foo", "metadata": {"name": "probe"}}
            until(lambda: fields(cluster.post(f"{foos}?dryRun=All", probe).ok()) == defaults, f"{defaults} are in force")

        assert fields(create("stored")) == {}
        redefine(a="A", b="B")
        # of what is stored, and of what comes
        assert fields(ns.get("foos/stored", api)) == {"a": "A", "b": "B"}
        assert fields(create("made")) == {"a": "A", "b": "B"}
        redefine(b="B2", c="C2")
        # what a request had as a default is stored, what was only shown is not
        assert fields(ns.get("foos/stored", api)) == {"b": "B2", "c": "C2"}
        assert fields(ns.get("foos/made", api)) == {"a": "A", "b": "B", "c": "C2"}
        patched = cluster.patch(ns.path("foos/stored", api), {"a": "mine"}).ok()
        assert fields(patched) == {"a": "mine", "b": "B2", "c": "C2"}

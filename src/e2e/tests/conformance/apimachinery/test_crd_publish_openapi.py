"""Definitions of custom kinds in the OpenAPI documents, and kubectl, which reads them."""

import json

import pytest
from support import conforms, custom_kind, until, version

PICTURES = {
    "type": "array",
    "description": "What hangs there.",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "How it is called."},
            "age": {"type": "string", "description": "How old it is."},
            "colour": {"type": "string", "enum": ["red", "blue"]},
        },
    },
}
PROPERTIES = {
    "spec": {"type": "object", "description": "What is wanted", "properties": {"pictures": PICTURES}},
    "status": {"type": "object", "description": "What there is", "properties": {"state": {"type": "string"}}},
}
FOO = {"type": "object", "description": "A kind of this case", "properties": PROPERTIES}


def described(name="v1", storage=True, served=True):
    return {**version(name, storage=storage, served=served), "schema": {"openAPIV3Schema": FOO}}


def key(crd, version="v1", kind="Foo"):
    return f"{'.'.join(reversed(crd.group.split('.')))}.{version}.{kind}"


def definition(cluster, *of):
    return cluster.get("/openapi/v2").ok()["definitions"].get(key(*of))


def published(cluster, *of):
    return until(lambda: definition(cluster, *of), f"{key(*of)} is published")


def bare(shown):
    """A definition without what each kind has."""
    known = ("apiVersion", "kind", "metadata")
    properties = {field: it for field, it in shown["properties"].items() if field not in known}
    return {key: it for key, it in {**shown, "properties": properties}.items() if key != "x-kubernetes-group-version-kind"}


def text(crd, version="v1", **fields):
    return json.dumps({"apiVersion": f"{crd.group}/{version}", "kind": "Foo", "metadata": {"name": "foo"}, **fields})


@conforms("[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema")
def test_schema(cluster, ns):
    def kubectl(*arguments, **more):
        return cluster.kubectl("-n", ns.name, *arguments, **more)

    with custom_kind(cluster, described()) as crd:
        shown = published(cluster, crd)
        assert bare(shown) == FOO
        assert shown["properties"]["metadata"]["$ref"].endswith("ObjectMeta")
        assert shown["x-kubernetes-group-version-kind"] == [{"group": crd.group, "kind": "Foo", "version": "v1"}]
        components = cluster.get(f"/openapi/v3/apis/{crd.group}/v1").ok()["components"]["schemas"]
        assert components[key(crd)]["properties"]["spec"]["properties"]["pictures"]["items"]["required"] == ["name"]

        good = text(crd, spec={"pictures": [{"name": "a", "age": "10", "colour": "red"}]})
        kubectl("create", "-f", "-", stdin=good)
        kubectl("delete", crd.name, "foo")
        kubectl("apply", "-f", "-", stdin=good)
        kubectl("delete", crd.name, "foo")
        for verb in ("create", "apply"):
            said = kubectl(verb, "-f", "-", stdin=text(crd, spec={"pictures": [{"name": "a", "colour": "green"}]}), fails=True)
            assert 'Unsupported value: "green"' in said
            said = kubectl(verb, "-f", "-", stdin=text(crd, spec={"foo": True}), fails=True)
            assert 'unknown field "spec.foo"' in said
            said = kubectl(verb, "-f", "-", stdin=text(crd, spec={"pictures": [{"age": "10"}]}), fails=True)
            assert "spec.pictures[0].name: Required value" in said

        def explained(of, *words):
            said = " ".join(kubectl("explain", of).split())
            assert all(word in said for word in words), said

        explained(crd.name, "KIND: Foo", "A kind of this case", "apiVersion <string> APIVersion defines", "spec <Object>")
        explained(f"{crd.name}.metadata", "Standard object's metadata", "creationTimestamp <string>")
        explained(f"{crd.name}.spec", "What is wanted", "pictures <[]Object>", "What hangs there")
        explained(f"{crd.name}.spec.pictures", "name <string> -required-", "How old it is")
        assert "age <string>" in " ".join(kubectl("explain", "--recursive", f"{crd.name}.spec").split())
        assert 'field "nothing" does not exist' in kubectl("explain", f"{crd.name}.spec.nothing", fails=True)


OPEN = {"x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize(
    ("schema", "fields", "at", "explained"),
    [
        pytest.param(
            {"type": "object", **OPEN}, {"spec": {"any": ["x"]}, "b": "c"}, "", "<empty>",
            marks=conforms(
                "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD without validation schema"
            ),
        ),
        pytest.param(
            {"type": "object", **OPEN, "properties": {"spec": {"type": "object", **OPEN, "description": "open to all"}}},
            {"spec": {"b": [{"c": "d"}]}, "a": {"b": "c"}}, "", "open to all",
            marks=conforms(
                "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields at the schema root"
            ),
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"spec": {"type": "object", **OPEN, "description": "open here", "properties": {"known": {"type": "string"}}}},
            },
            {"spec": {"b": [{"c": "d"}]}}, "spec", "open here",
            marks=conforms(
                "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields in an embedded object"
            ),
        ),
    ],
)
def test_unknown_fields(cluster, ns, schema, fields, at, explained):
    made = {**version(), "schema": {"openAPIV3Schema": schema}}
    with custom_kind(cluster, made) as crd:
        shown = published(cluster, crd)
        if at:
            assert shown["properties"][at] == {**OPEN, "description": explained}
        else:
            # an older kubectl would refuse what is not named beside what is
            assert shown.keys() == {"type", "x-kubernetes-group-version-kind"}
        for verb in ("create", "apply"):
            cluster.kubectl("-n", ns.name, verb, "-f", "-", stdin=text(crd, **fields))
            stored = ns.get("foos/foo", f"{crd.group}/v1")
            assert {field: stored[field] for field in fields} == fields
            cluster.kubectl("-n", ns.name, "delete", crd.name, "foo")
        said = cluster.kubectl("explain", crd.name)
        assert "Foo" in said and explained in said, said


@conforms("[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of different groups")
def test_groups(cluster):
    with custom_kind(cluster, described()) as one, custom_kind(cluster, described()) as two:
        assert bare(published(cluster, one)) == bare(published(cluster, two)) == FOO


@conforms(
    "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group but different versions"
)
def test_versions(cluster):
    with custom_kind(cluster, described("v2"), described("v3", storage=False)) as crd:
        for name in ("v2", "v3"):
            assert bare(published(cluster, crd, name)) == FOO
    with custom_kind(cluster, described("v4")) as one:
        names = {"kind": "Bar", "listKind": "BarList", "plural": "bars", "singular": "bar"}
        with custom_kind(cluster, described("v5"), group=one.group, names=names) as two:
            assert published(cluster, one, "v4") and published(cluster, two, "v5", "Bar")


@conforms(
    "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group and version but different kinds"
)
def test_kinds(cluster):
    names = {"kind": "Bar", "listKind": "BarList", "plural": "bars", "singular": "bar"}
    with custom_kind(cluster, described()) as one, custom_kind(cluster, described(), group=one.group, names=names) as two:
        assert bare(published(cluster, one)) == bare(published(cluster, two, "v1", "Bar")) == FOO


@conforms(
    "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] updates the published spec when one version gets renamed"
)
def test_renamed(cluster):
    with custom_kind(cluster, described("v2"), described("v3", storage=False)) as crd:
        before = published(cluster, crd, "v2")
        assert published(cluster, crd, "v3")
        cluster.patch(crd.path, [{"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}], kind="json").ok()
        assert published(cluster, crd, "v4")
        until(lambda: not definition(cluster, crd, "v3"), "the old name is gone")
        assert definition(cluster, crd, "v2") == before
        assert cluster.get(f"/apis/{crd.group}/v3").status == 404


@conforms(
    "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] removes definition from spec when one version gets changed to not be served"
)
def test_not_served(cluster):
    with custom_kind(cluster, described("v5"), described("v6", storage=False)) as crd:
        before = published(cluster, crd, "v5")
        assert published(cluster, crd, "v6")
        cluster.patch(crd.path, [{"op": "replace", "path": "/spec/versions/1/served", "value": False}], kind="json").ok()
        until(lambda: not definition(cluster, crd, "v6"), "who is not served is not published")
        assert definition(cluster, crd, "v5") == before

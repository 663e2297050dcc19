"""Unknown and duplicate fields under strict validation."""

import json

import pytest
from support import conforms, custom_kind, version

STRICT = "?fieldValidation=Strict"
APPLIED = f"{STRICT}&fieldManager=case&force=true"


def deployment(spec="", metadata="", container=""):
    """As text: what stands twice in an object is in no dict."""
    return """{
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"} %s},
        "spec": {
            %s
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{%s "name": "main", "image": "busybox:1"}]}
            }
        }
    }""" % (metadata, spec, container)


@conforms("[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object")
def test_unknown_and_duplicate(cluster, ns):
    path = ns.path("deployments", "apps/v1")
    bad = deployment('"unknown1": 1, "paused": true, "paused": false,', container='"unknownNested": 1, "tty": true, "tty": false,')
    words = [
        "strict decoding error: ",
        'unknown field \\"spec.unknown1\\"',
        'duplicate field \\"spec.paused\\"',
        'unknown field \\"spec.template.spec.containers[0].unknownNested\\"',
        'duplicate field \\"spec.template.spec.containers[0].tty\\"',
    ]
    cluster.post(path + STRICT, bad).refused(400, *words)
    assert cluster.get(f"{path}/web").status == 404
    warned = cluster.post(f"{path}?fieldValidation=Warn", bad)
    warned.ok()
    warnings = warned.headers.getlist("Warning") if hasattr(warned.headers, "getlist") else [warned.headers["Warning"]]
    for word in words[1:]:
        assert any(word in warning for warning in warnings), warnings
    cluster.put(f"{path}/web{STRICT}", bad).refused(400, *words)
    cluster.patch(f"{path}/web{STRICT}", {"spec": {"unknown1": 1}}).refused(422, words[1])
    cluster.patch(f"{path}/web{STRICT}", '{"spec": {"paused": true, "paused": false}}').refused(422, words[2])
    cluster.put(f"{path}/web{STRICT}", deployment()).ok()
    yaml = cluster.post(path + STRICT, bad, content_type="application/yaml")
    yaml.refused(400, "strict decoding error", 'key \\"paused\\" already set in map')


@conforms("[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object")
def test_unknown_metadata(cluster, ns):
    path = ns.path("deployments", "apps/v1")
    bad = deployment(metadata=', "unknownMeta": "x"')
    cluster.post(path + STRICT, bad).refused(400, 'strict decoding error: unknown field \\"metadata.unknownMeta\\"')
    cluster.patch(f"{path}/web{APPLIED}", bad, kind="apply").refused(500, ".metadata.unknownMeta: field not declared in schema")
    assert cluster.get(f"{path}/web").status == 404


SPEC = {"spec": {"type": "object", "properties": {"known": {"type": "string"}}}}


def foo(crd, spec, metadata=""):
    return '{"apiVersion": "%s/v1", "kind": "Foo", "metadata": {"name": "foo" %s}, "spec": %s}' % (crd.group, metadata, spec)


@pytest.mark.parametrize(
    ("properties", "spec"),
    [
        pytest.param(
            None, '{"unknown": "x", "deep": {"unknown": "x"}}',
            marks=conforms(
                "[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema"
            ),
        ),
        pytest.param(
            SPEC, '{"known": "x"}',
            marks=conforms("[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema"),
        ),
    ],
)
def test_custom(cluster, ns, properties, spec):
    with custom_kind(cluster, version(properties=properties)) as crd:
        path = ns.path("foos", f"{crd.group}/v1")
        assert cluster.post(path + STRICT, foo(crd, spec)).ok()["spec"] == json.loads(spec)
        cluster.delete(f"{path}/foo").ok()
        assert cluster.patch(f"{path}/foo{APPLIED}", foo(crd, spec), kind="apply").ok()["spec"] == json.loads(spec)
        cluster.delete(f"{path}/foo").ok()
        for verb in ("create", "apply"):
            cluster.kubectl(verb, "-n", ns.name, "--validate=true", "-f", "-", stdin=foo(crd, spec))
            assert cluster.get(f"{path}/foo").ok()["spec"] == json.loads(spec)
            cluster.delete(f"{path}/foo").ok()


@conforms(
    "[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema"
)
def test_custom_with_more(cluster, ns):
    with custom_kind(cluster, version(properties=SPEC)) as crd:
        path = ns.path("foos", f"{crd.group}/v1")
        bad = foo(crd, '{"known": "x", "more": "x"}')
        cluster.post(path + STRICT, bad).refused(400, 'strict decoding error: unknown field \\"spec.more\\"')
        cluster.patch(f"{path}/foo{APPLIED}", bad, kind="apply").refused(500, ".spec.more: field not declared in schema")
        for verb in ("create", "apply"):
            said = cluster.kubectl(verb, "-n", ns.name, "--validate=true", "-f", "-", stdin=bad, fails=True)
            assert 'unknown field "spec.more"' in said
        assert cluster.get(f"{path}/foo").status == 404


@conforms("[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR")
def test_custom_metadata(cluster, ns):
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": {"type": "object", "properties": {"template": embedded}}}
    with custom_kind(cluster, version(properties=properties)) as crd:
        template = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "unknownSub": "x"}, "spec": {"any": "x"}}'
        bad = foo(crd, '{"template": %s}' % template, ', "unknownMeta": "x"')
        fields = ("metadata.unknownMeta", "spec.template.metadata.unknownSub")
        words = ["strict decoding error: ", *(f'unknown field \\"{at}\\"' for at in fields)]
        path = ns.path("foos", f"{crd.group}/v1")
        cluster.post(path + STRICT, bad).refused(400, *words)
        applied = cluster.patch(f"{path}/foo{APPLIED}", bad, kind="apply")
        assert applied.status == 500 and "etadata.unknown" in applied.text and "field not declared in schema" in applied.text, applied.text
        made = cluster.post(path, bad).ok()
        assert "unknownMeta" not in made["metadata"] and "unknownSub" not in made["spec"]["template"]["metadata"]


@conforms("[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields")
def test_custom_duplicates(cluster, ns):
    with custom_kind(cluster) as crd:
        bad = foo(crd, '{"known": "x", "known": "y", "unknown": 1, "unknown": 2}')
        path = ns.path("foos", f"{crd.group}/v1")
        cluster.post(path + STRICT, bad).refused(400, 'duplicate field \\"spec.known\\"', 'duplicate field \\"spec.unknown\\"')
        applied = cluster.patch(f"{path}/foo{APPLIED}", bad, kind="apply")
        applied.refused(400, 'key \\"known\\" already set in map', 'key \\"unknown\\" already set in map')

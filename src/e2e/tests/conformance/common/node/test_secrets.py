"""Secrets in environments, and what the API does with them."""

import base64

import pytest
from support import conforms, name


def secret(ns, data, **metadata):
    return ns.cluster.post(ns.path("secrets"), {"metadata": {"name": "keys", **metadata}, "stringData": data}).ok()


@pytest.mark.parametrize(
    ("container", "lines"),
    [
        pytest.param(
            {"env": [{"name": "SECRET_DATA", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "data-1"}}}]},
            ["SECRET_DATA=value-1"],
            marks=conforms("[sig-node] Secrets should be consumable from pods in env vars [NodeConformance]"),
        ),
        pytest.param(
            {"envFrom": [{"secretRef": {"name": "keys"}}, {"prefix": "p_", "secretRef": {"name": "keys"}}]},
            ["data_2=value-2", "p_data_2=value-2"],
            marks=conforms("[sig-node] Secrets should be consumable via the environment [NodeConformance]"),
        ),
        pytest.param(
            {"envFrom": [{"prefix": prefix, "secretRef": {"name": "keys"}} for prefix in ["p-", "1.", "$_", "#@!"]]},
            ["p-data-1=value-1", "1.data-1=value-1", "$_data_2=value-2", "#@!data.3=value-3"],
            marks=conforms("[sig-node] Secrets should be consumable as environment variable names variable names with various prefixes"),
        ),
    ],
)
def test_environment(ns, container, lines):
    secret(ns, {"data-1": "value-1", "data_2": "value-2", "data.3": "value-3"})
    printed = ns.output(container={"command": ["env"], **container}).splitlines()
    assert set(lines) <= set(printed)


@conforms("[sig-node] Secrets should fail to create secret due to empty secret key")
def test_empty_key(ns):
    body = {"metadata": {"name": "empty"}, "data": {"": "dmFsdWUtMQ=="}}
    ns.cluster.post(ns.path("secrets"), body).refused(422, "a valid config key must consist of")
    ns.cluster.get(ns.path("secrets/empty")).refused(404)


@conforms("[sig-node] Secrets should patch a secret")
def test_patch(ns):
    cluster, label = ns.cluster, name("secret")
    secret(ns, {"key": "value"}, labels={"case": label})
    everywhere = f"/api/v1/secrets?labelSelector=case={label}"
    assert [it["metadata"]["name"] for it in cluster.get(everywhere).ok()["items"]] == ["keys"]
    change = {"metadata": {"labels": {"more": "patched"}}, "data": {"key": base64.b64encode(b"value1").decode()}}
    cluster.patch(ns.path("secrets/keys"), change, "strategic-merge").ok()
    found = ns.get("secrets/keys")
    assert found["metadata"]["labels"] == {"case": label, "more": "patched"}
    assert base64.b64decode(found["data"]["key"]) == b"value1"
    cluster.delete(ns.path(f"secrets?labelSelector=case={label}")).ok()
    assert cluster.get(everywhere).ok()["items"] == []

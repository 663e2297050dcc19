"""ConfigMaps in environments, and what the API does with them."""

import pytest
from support import conforms, name


def config_map(ns, data, **more):
    ns.cluster.post(ns.path("configmaps"), {"metadata": {"name": "settings"}, "data": data, **more}).ok()


@pytest.mark.parametrize(
    ("container", "lines"),
    [
        pytest.param(
            {"env": [{"name": "CONFIG_DATA_1", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "data-1"}}}]},
            ["CONFIG_DATA_1=value-1"],
            marks=conforms("[sig-node] ConfigMap should be consumable via environment variable [NodeConformance]"),
        ),
        pytest.param(
            {"envFrom": [{"configMapRef": {"name": "settings"}}, {"prefix": "p_", "configMapRef": {"name": "settings"}}]},
            ["data_2=value-2", "p_data_2=value-2"],
            marks=conforms("[sig-node] ConfigMap should be consumable via the environment [NodeConformance]"),
        ),
        pytest.param(
            {"envFrom": [{"prefix": prefix, "configMapRef": {"name": "settings"}} for prefix in ["p-", "1.", "$_", "#@!"]]},
            ["p-data-1=value-1", "1.data-1=value-1", "$_data_2=value-2", "#@!data.3=value-3"],
            marks=conforms("[sig-node] ConfigMap should be consumable as environment variable names with various prefixes"),
        ),
    ],
)
def test_environment(ns, container, lines):
    config_map(ns, {"data-1": "value-1", "data_2": "value-2", "data.3": "value-3"})
    printed = ns.output(container={"command": ["env"], **container}).splitlines()
    assert set(lines) <= set(printed)


@conforms("[sig-node] ConfigMap should fail to create ConfigMap with empty key")
def test_empty_key(ns):
    body = {"metadata": {"name": "empty"}, "data": {"": "value-1"}}
    ns.cluster.post(ns.path("configmaps"), body).refused(422, "a valid config key must consist of")
    ns.cluster.get(ns.path("configmaps/empty")).refused(404)


@conforms("[sig-node] ConfigMap should update ConfigMap successfully [NodeConformance]")
def test_update(ns):
    config_map(ns, {"data-1": "value-1"})
    found = ns.get("configmaps/settings")
    found["data"]["data-1"] = "value-2"
    ns.cluster.put(ns.path("configmaps/settings"), found).ok()
    assert ns.get("configmaps/settings")["data"] == {"data-1": "value-2"}
    assert "data-1=value-2\n" in ns.output(container={"command": ["env"], "envFrom": [{"configMapRef": {"name": "settings"}}]})


@conforms("[sig-node] ConfigMap should run through a ConfigMap lifecycle")
def test_lifecycle(ns):
    cluster, label = ns.cluster, name("cm")
    before = ns.get("configmaps")["metadata"]["resourceVersion"]
    config_map(ns, {"valueName": "value"}, metadata={"name": "settings", "labels": {"case": label}})
    change = {"metadata": {"labels": {"more": "patched"}}, "data": {"valueName": "value1"}}
    cluster.patch(ns.path("configmaps/settings"), change, "strategic-merge").ok()
    found = ns.get("configmaps/settings")
    assert found["data"] == {"valueName": "value1"} and found["metadata"]["labels"] == {"case": label, "more": "patched"}
    listed = cluster.get(f"/api/v1/configmaps?labelSelector=case={label}").ok()["items"]
    assert [(it["metadata"]["namespace"], it["metadata"]["name"]) for it in listed] == [(ns.name, "settings")]
    cluster.delete(ns.path(f"configmaps?labelSelector=case={label}")).ok()
    assert cluster.get(f"/api/v1/configmaps?labelSelector=case={label}").ok()["items"] == []
    events = cluster.watch(ns.path("configmaps"), lambda it: len(it) == 3, resourceVersion=before, labelSelector=f"case={label}")
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]

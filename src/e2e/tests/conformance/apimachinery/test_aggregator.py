"""An API server beside the cluster's own."""

import base64

from servers import https_server
from support import condition, conforms, name, until


class Fruits:
    """An API server of one kind."""

    def __init__(self, group):
        self.group, self.api = group, f"{group}/v1alpha1"
        self.stored = {}
        self.users = set()

    def answer(self, method, path, headers, body):
        path = path.partition("?")[0]
        self.users.add(headers["X-Remote-User"])
        root = f"/apis/{self.api}"
        version = {"groupVersion": self.api, "version": "v1alpha1"}
        if path == f"/apis/{self.group}":
            return 200, {"kind": "APIGroup", "apiVersion": "v1", "name": self.group, "versions": [version], "preferredVersion": version}
        if path == "/apis":
            group = {"name": self.group, "versions": [version], "preferredVersion": version}
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
        if path == root:
            verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
            kind = {"name": "fruits", "singularName": "fruit", "namespaced": True, "kind": "Fruit", "verbs": verbs}
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": self.api, "resources": [kind]}
        if path.startswith(f"{root}/namespaces/"):
            return self.objects(method, path.removeprefix(f"{root}/namespaces/").split("/"), body)
        return self.failed(404, "NotFound")

    def objects(self, method, parts, body):
        namespace, rest = parts[0], parts[2:]
        if method == "POST":
            named = body["metadata"]["name"]
            self.stored[namespace, named] = {**body, "metadata": {**body["metadata"], "namespace": namespace, "uid": named}}
            return 201, self.stored[namespace, named]
        if not rest:
            mine = [it for (where, _), it in self.stored.items() if where == namespace]
            return 200, {"kind": "FruitList", "apiVersion": self.api, "metadata": {"resourceVersion": "1"}, "items": mine}
        if (namespace, rest[0]) not in self.stored:
            return self.failed(404, "NotFound")
        found = self.stored[namespace, rest[0]]
        if method == "DELETE":
            del self.stored[namespace, rest[0]]
        if method == "PATCH":
            found["metadata"].setdefault("labels", {}).update(body["metadata"]["labels"])
        return 200, found

    def failed(self, code, reason):
        return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}


@conforms(
    "[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator [LinuxOnly]"
)
def test_extension(cluster, ns):
    group = f"{name('garden')}.example.com"
    fruits = Fruits(group)
    registered = f"/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.{group}"
    with https_server(fruits.answer, f"api.{ns.name}.svc") as server:
        ns.apply(f"""
            apiVersion: v1
            kind: Service
            metadata: {{name: api}}
            spec: {{ports: [{{port: 7443}}]}}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {{name: api, labels: {{kubernetes.io/service-name: api}}}}
            addressType: IPv4
            endpoints: [{{addresses: [203.0.113.1]}}]
            ports: [{{port: {server.port}}}]
            ---
            apiVersion: apiregistration.k8s.io/v1
            kind: APIService
            metadata: {{name: v1alpha1.{group}}}
            spec:
              group: {group}
              version: v1alpha1
              groupPriorityMinimum: 2000
              versionPriority: 200
              service: {{namespace: {ns.name}, name: api, port: 7443}}
              caBundle: {base64.b64encode(server.authority).decode()}
        """)
        try:
            until(lambda: condition(cluster.get(registered).ok(), "Available") == "True", "it is available")
            shown(cluster, ns, fruits)
            changed(cluster, registered)
        finally:
            cluster.delete(registered)
    until(lambda: cluster.get(f"/apis/{fruits.api}").status == 404, "nobody serves it any more")
    until(lambda: group not in [it["name"] for it in cluster.get("/apis").ok()["groups"]], "nobody tells of it")


def shown(cluster, ns, fruits):
    """Its objects are the cluster's to whoever asks."""
    path = ns.path("fruits", fruits.api)
    until(lambda: fruits.group in [it["name"] for it in cluster.get("/apis").ok()["groups"]], "the group is told")
    assert [it["name"] for it in cluster.get(f"/apis/{fruits.api}").ok()["resources"]] == ["fruits"]
    fruit = {"apiVersion": fruits.api, "kind": "Fruit", "metadata": {"name": "one"}}
    assert cluster.post(path, fruit).status == 201
    assert [it["metadata"]["name"] for it in cluster.get(path).ok()["items"]] == ["one"]
    assert cluster.patch(f"{path}/one", {"metadata": {"labels": {"a": "b"}}}).ok()["metadata"]["labels"] == {"a": "b"}
    assert "one" in until(lambda: cluster.kubectl("get", f"fruits.{fruits.group}", "-n", ns.name), "kubectl finds it")
    cluster.get(path, Impersonate_User="nobody").refused(403, "cannot list resource")
    cluster.delete(f"{path}/one").ok()
    assert cluster.get(path).ok()["items"] == []
    # it is told who asks, by one whom it can trust
    assert any(fruits.users) and "nobody" not in fruits.users


def changed(cluster, registered):
    """The APIService itself: its status, its labels, and its deletion among others."""
    status = cluster.get(f"{registered}/status").ok()
    assert condition(status, "Available") == "True"
    patched = cluster.patch(f"{registered}/status", {"status": {"conditions": [told("Patched"), *status["status"]["conditions"]]}}).ok()
    assert condition(patched, "Patched") == "True"

    def change(shown):
        shown["spec"]["versionPriority"] = 400
        shown["metadata"].setdefault("labels", {})["case"] = shown["metadata"]["name"]

    updated = cluster.update(registered, change)
    assert updated["spec"]["versionPriority"] == 400
    some = f"{registered.rpartition('/')[0]}?labelSelector=case%3D{updated['metadata']['name']}"
    assert len(cluster.get(some).ok()["items"]) == 1
    cluster.delete(some).ok()
    until(lambda: cluster.get(registered).status == 404, "it is deleted with all of its label")


def told(kind):
    return {"type": kind, "status": "True", "reason": "Case", "message": "told by a case", "lastTransitionTime": "2024-01-01T00:00:00Z"}

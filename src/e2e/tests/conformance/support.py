"""The cluster as the cases see it: Kubernetes' own client for Python, requests by hand, and kubectl."""

import base64
import json
import math
import os
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import kubernetes
import pytest
import yaml
from checks import PATIENCE, name, until
from kubernetes.dynamic import DynamicClient
from kubernetes.stream import stream
from kubernetes.utils.quantity import parse_quantity
from servers import https_server

BUSYBOX = "busybox:1"
# runs until it is told to end, and then ends at once
STAY = "trap exit TERM; sleep 1000 & wait"


def conforms(line):
    """The case shows this line of lines.tsv, whose name is upstream's."""
    return pytest.mark.conforms(line)


def template(labels, command="sleep 100000", container=None, **spec):
    """A pod template with one container `main` of busybox that runs a shell line."""
    main = {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", command], **(container or {})}
    return {"metadata": {"labels": labels}, "spec": {"containers": [main], "terminationGracePeriodSeconds": 0, **spec}}


class Answer:
    """status (int), headers, and the body as text or as what its JSON says."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.data.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.text)

    def ok(self):
        assert self.status < 300, f"{self.status}: {self.text}"
        return self.json

    def refused(self, status, *words):
        assert self.status == status, f"{self.status}: {self.text}"
        for word in words:
            assert word in self.text, f"no {word!r} in {self.text}"
        return self.json


class Cluster:
    def __init__(self):
        kubernetes.config.load_kube_config()
        self.client = kubernetes.client.ApiClient()
        self.dynamic = DynamicClient(self.client)
        self.core = kubernetes.client.CoreV1Api(self.client)

    def request(self, method, path, body=None, content_type="application/json", accept="application/json", **headers):
        """One request as it is; `body` is text, or what becomes JSON. Never raises for a status."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        headers = {"Accept": accept, **{key.replace("_", "-"): value for key, value in headers.items()}}
        if body is not None:
            headers["Content-Type"] = content_type
        pool = self.client.rest_client.pool_manager
        url = self.client.configuration.host + path
        return Answer(pool.request(method, url, body=body, headers=headers, redirect=False))

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body, **more):
        return self.request("PUT", path, body, **more)

    def delete(self, path, body=None, **more):
        return self.request("DELETE", path, body, **more)

    def patch(self, path, body, kind="merge", **more):
        """`kind`: merge, json, strategic-merge or apply."""
        content_type = "application/apply-patch+yaml" if kind == "apply" else f"application/{kind}-patch+json"
        return self.request("PATCH", path, body, content_type=content_type, **more)

    def update(self, path, change):
        """Replaces an object by what `change` does to it, again where somebody else was quicker; returns the answer's object."""

        def put():
            shown = self.get(path).ok()
            change(shown)
            answer = self.put(path, shown)
            return answer.status != 409 and answer.ok()

        return until(put, f"{path} is replaced")

    def watch(self, path, enough, patience=PATIENCE, **parameters):
        """Events of a watch as (type, object) until `enough(events)`, which they must become in time."""
        query = "&".join(["watch=1", f"timeoutSeconds={patience}", *(f"{k}={v}" for k, v in parameters.items())])
        headers = {"Accept": "application/json"}
        url = f"{self.client.configuration.host}{path}?{query}"
        response = self.client.rest_client.pool_manager.request("GET", url, headers=headers, preload_content=False)
        assert response.status == 200, f"{response.status}: {response.read()}"
        events = []
        try:
            for line in lines(response):
                event = json.loads(line)
                events.append((event["type"], event["object"]))
                if enough(events):
                    return events
        finally:
            response.close()
        raise AssertionError(f"the watch of {path} ended after {[kind for kind, _ in events]}")

    def kubectl(self, *arguments, stdin=None, fails=False):
        """What it printed; with `fails`, what it complained of."""
        done = subprocess.run(
            [os.environ["MONOPOD_KUBECTL"], *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE
        )
        assert (done.returncode != 0) == fails, f"kubectl {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout


class Follower(threading.Thread):
    """A watch that goes on beside the case until it has seen so many events, (type, object) each."""

    def __init__(self, cluster, path, count, **parameters):
        super().__init__(daemon=True)
        self.cluster, self.path, self.count, self.parameters = cluster, path, count, parameters
        self.events = []
        self.start()

    def run(self):
        def enough(events):
            self.events = list(events)
            return len(events) >= self.count

        self.cluster.watch(self.path, enough, **self.parameters)


def lines(response):
    pending = b""
    for piece in response.stream(amt=None):
        pending += piece
        *whole, pending = pending.split(b"\n")
        yield from whole


def owner(pod):
    """Kind and uid of the controller that has it; of none, nothing."""
    return [(it["kind"], it["uid"]) for it in pod["metadata"].get("ownerReferences", []) if it["controller"]]


def until_each_answers(ns, count):
    """Each of so many pods that run SERVER answers with its name."""
    names = {it["metadata"]["name"] for it in ns.pods()}
    assert len(names) == count
    for pod in names:
        page = ns.path(f"pods/{pod}:80/proxy/")
        until(lambda page=page, pod=pod: ns.cluster.get(page, accept="*/*").text == f"{pod}\n", f"{pod} answers")


class Namespace:
    """A namespace of one case, and what is mostly done in one."""

    def __init__(self, cluster, name, labels=None):
        self.cluster = cluster
        self.name = name
        self.core = cluster.core
        metadata = {"name": name, "labels": labels or {}}
        cluster.post("/api/v1/namespaces", {"metadata": metadata}).ok()
        # what a pod needs before it may be made
        until(lambda: cluster.get(self.path("serviceaccounts/default")).status == 200, "the default service account")

    def path(self, rest, group="v1"):
        """`/api/v1/namespaces/NS/REST`, or below `/apis/GROUP/VERSION` where a group is given."""
        root = "/api/v1" if group == "v1" else f"/apis/{group}"
        return f"{root}/namespaces/{self.name}/{rest}"

    def apply(self, text):
        """Creates what a manifest says, through the dynamic client; returns the objects."""
        made = []
        for manifest in yaml.safe_load_all(textwrap.dedent(text)) if isinstance(text, str) else [text]:
            resource = self.cluster.dynamic.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
            namespace = self.name if resource.namespaced else None
            made.append(resource.create(body=manifest, namespace=namespace).to_dict())
        return made[0] if len(made) == 1 else made

    def pod(self, command=None, name_="pod", **spec):
        """Creates a pod with one container `main` of busybox that runs a shell line; `container` adds to the container,
        `metadata` to the metadata, everything else to the spec. Returns its name."""
        container = {"name": "main", "image": BUSYBOX, **spec.pop("container", {})}
        if command is not None:
            container["command"] = ["sh", "-c", command]
        metadata = {"name": name_, **spec.pop("metadata", {})}
        spec.setdefault("restartPolicy", "Never")
        spec.setdefault("terminationGracePeriodSeconds", 0)
        spec = {"containers": [container], **spec}
        self.cluster.post(self.path("pods"), {"metadata": metadata, "spec": spec}).ok()
        return metadata["name"]

    def get(self, rest, group="v1"):
        return self.cluster.get(self.path(rest, group)).ok()

    def create(self, rest, body, group="v1"):
        return self.cluster.post(self.path(rest, group), body).ok()

    def pods(self, selector=""):
        return self.get(f"pods?labelSelector={selector}")["items"]

    def until(self, rest, enough, group="v1"):
        """Waits until the object or list is there and as `enough` wants it, and returns it."""
        seen = {}

        def look():
            answer = self.cluster.get(self.path(rest, group))
            seen["last"] = answer.json
            return seen["last"] if answer.status != 404 and enough(answer.ok()) else None

        try:
            return until(look, rest)
        except AssertionError as error:
            raise AssertionError(f"{error}; last: {json.dumps(seen['last'])[:3000]}") from None

    def until_phase(self, name, *phases):
        """Waits for one of the phases; returns the pod."""

        def look():
            pod = self.get(f"pods/{name}")
            return pod if pod.get("status", {}).get("phase") in phases else None

        return until(look, f"{name} {phases}: {self.get(f'pods/{name}').get('status')}")

    def until_ready(self, name):
        def look():
            pod = self.get(f"pods/{name}")
            ready = [c for c in pod["status"].get("conditions", []) if c["type"] == "Ready" and c["status"] == "True"]
            return pod if ready else None

        return until(look, f"{name} is ready: {self.get(f'pods/{name}').get('status')}")

    def until_gone(self, rest, group="v1"):
        until(lambda: self.cluster.get(self.path(rest, group)).status == 404, f"{rest} is gone")

    def output(self, command=None, name_="pod", **spec):
        """Runs a pod to its good end; returns what it printed."""
        name_ = self.pod(command, name_, **spec)
        ended = self.until_phase(name_, "Succeeded", "Failed")
        said = self.log(name_)
        assert ended["status"]["phase"] == "Succeeded", f"{said}\n{ended['status']}"
        return said

    def log(self, pod, container=None):
        query = f"?container={container}" if container else ""
        return self.cluster.get(self.path(f"pods/{pod}/log{query}"), accept="*/*").text

    def exec(self, pod, command, container=None):
        """What a shell line prints in a container of a running pod, both streams together."""
        more = {"container": container} if container else {}
        return stream(
            self.core.connect_get_namespaced_pod_exec, pod, self.name, command=["sh", "-c", command],
            stdout=True, stderr=True, stdin=False, tty=False, **more,
        )


def says(shown, wanted):
    """Whether a status says that, and perhaps more: a controller may add conditions of its own at any time."""
    lists = {key: value for key, value in wanted.items() if isinstance(value, list)}
    assert all(item in shown[key] for key, items in lists.items() for item in items)
    return all(shown[key] == value for key, value in wanted.items() if key not in lists)


VERBS = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}


def all_operations(cluster, api, resource, body, namespace=None, status=None):
    """What each kind answers: discovery, create, get, list, watch, patch, update, delete, and deletion of many. `body` is an object without
    metadata; `status` is a part of a status that its subresource takes."""
    group = api.split("/")[0]
    groups = {it["name"]: [version["groupVersion"] for version in it["versions"]] for it in cluster.get("/apis").ok()["groups"]}
    assert api in groups[group]
    assert api in [version["groupVersion"] for version in cluster.get(f"/apis/{group}").ok()["versions"]]
    verbs = {it["name"]: set(it["verbs"]) for it in cluster.get(f"/apis/{api}").ok()["resources"]}
    assert verbs[resource] == VERBS

    label = name("operations")
    every = f"/apis/{api}/{resource}?labelSelector=case%3D{label}"
    path = f"/apis/{api}/namespaces/{namespace}/{resource}" if namespace else f"/apis/{api}/{resource}"
    some = f"{path}?labelSelector=case%3D{label}"
    metadata = {"generateName": "operations-", "labels": {"case": label}}
    made = [cluster.post(path, {**body, "metadata": metadata}).ok() for _ in range(3)]
    try:
        one = f"{path}/{made[0]['metadata']['name']}"
        assert identity(cluster.get(one).ok()) == identity(made[0])
        for listed in (some, every):
            listing = cluster.get(listed).ok()
            assert {it["metadata"]["uid"] for it in listing["items"]} == {it["metadata"]["uid"] for it in made}

        patched = cluster.patch(one, {"metadata": {"annotations": {"patched": "true"}}}).ok()
        assert patched["metadata"]["annotations"]["patched"] == "true"
        updated = cluster.update(one, lambda shown: shown["metadata"]["annotations"].update(updated="true"))
        assert updated["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
        if status:
            assert verbs[f"{resource}/status"] == {"get", "patch", "update"}
            shown = cluster.patch(f"{one}/status", {"metadata": {"annotations": {"status": "true"}}, "status": status}).ok()
            assert says(shown["status"], status)
            replaced = cluster.update(f"{one}/status", lambda shown: shown["metadata"]["annotations"].update(status="again"))
            assert says(replaced["status"], status)
            assert identity(cluster.get(f"{one}/status").ok()) == identity(made[0])

        cluster.delete(one).ok()
        until(lambda: cluster.get(one).status == 404, f"{one} is gone")
        cluster.delete(some).ok()
        until(lambda: not cluster.get(every).ok()["items"], f"all {resource} are gone")

        def all_deleted(events):
            return [kind for kind, _ in events].count("DELETED") == 3

        at = listing["metadata"]["resourceVersion"]
        events = cluster.watch(path, all_deleted, labelSelector=f"case%3D{label}", resourceVersion=at)
        of_one = [(kind, it["metadata"].get("annotations")) for kind, it in events if identity(it) == identity(made[0])]
        assert ("MODIFIED", {"patched": "true"}) in of_one and ("MODIFIED", {"patched": "true", "updated": "true"}) in of_one
    finally:
        cluster.delete(some)


def edit(ns, rest, group, change):
    """Updates an object (or a subresource of it), again where another was faster."""

    def updated():
        body = ns.get(rest, group)
        change(body)
        answer = ns.cluster.put(ns.path(rest, group), body)
        return None if answer.status == 409 else answer.ok()

    return until(updated, f"{rest} is updated")


def scale_operations(ns, rest, group):
    """Get, update and patch of the scale of a workload that has one replica."""
    scale = ns.get(f"{rest}/scale", group)
    assert (scale["apiVersion"], scale["kind"], scale["spec"]["replicas"]) == ("autoscaling/v1", "Scale", 1)
    del scale["metadata"]["resourceVersion"]
    scale["spec"]["replicas"] = 2
    assert ns.cluster.put(ns.path(f"{rest}/scale", group), scale).ok()["spec"]["replicas"] == 2
    assert ns.get(rest, group)["spec"]["replicas"] == 2
    assert ns.cluster.patch(ns.path(f"{rest}/scale", group), {"spec": {"replicas": 4}}).ok()["spec"]["replicas"] == 4
    assert ns.get(rest, group)["spec"]["replicas"] == 4
    ns.until(f"{rest}/scale", lambda scale: scale["status"]["replicas"] == 4, group)


def status_operations(ns, rest, group):
    """Get, update and patch of the status of a workload, by a condition that no controller knows; a watch sees each."""
    plural, name_ = rest.split("/")

    def add(body):
        said = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from a case"}
        body["status"]["conditions"] = [*body["status"].get("conditions", []), said]

    at = ns.get(f"{rest}/status", group)["metadata"]["resourceVersion"]
    assert condition(edit(ns, f"{rest}/status", group, add), "StatusUpdate") == "True"
    patched = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
    patched = ns.cluster.patch(ns.path(f"{rest}/status", group), patched).ok()
    assert condition(patched, "StatusPatched") == "True" and condition(patched, "StatusUpdate") is None

    def enough(events):
        return condition(events[-1][1], "StatusPatched")

    events = ns.cluster.watch(ns.path(plural, group), enough, resourceVersion=at, fieldSelector=f"metadata.name={name_}")
    assert any(condition(shown, "StatusUpdate") for _, shown in events)


def identity(shown):
    return shown["metadata"]["uid"], shown.get("spec")


@contextmanager
def custom_kind(cluster, *versions, group=None, **spec):
    """A kind Foo of a group of its own until the end. `versions` are as `version()` gives them; `spec` is added to the definition's."""
    group = group or f"{name('group')}.example.com"
    spec = {
        "group": group,
        "names": {"kind": "Foo", "listKind": "FooList", "plural": "foos", "singular": "foo"},
        "scope": "Namespaced",
        "versions": list(versions) or [version()],
        **spec,
    }
    made = f"{spec['names']['plural']}.{group}"
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{made}"
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": made}, "spec": spec}
    cluster.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).ok()
    try:
        for it in spec["versions"]:
            until(lambda it=it: not it["served"] or cluster.get(f"/apis/{group}/{it['name']}").status == 200, f"{made} is served")
        until(lambda: condition(cluster.get(path).ok(), "Established") == "True", f"{made} is established")
        yield SimpleNamespace(group=group, name=made, path=path, plural=spec["names"]["plural"], kind=spec["names"]["kind"])
    finally:
        cluster.delete(path)


def version(name_="v1", properties=None, storage=True, served=True, **more):
    """A version of a definition; without `properties` any field is taken."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if properties is not None:
        schema = {"type": "object", "properties": properties}
    return {"name": name_, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def condition(shown, kind):
    """The status of a condition of an object, None where it has none."""
    return {it["type"]: it["status"] for it in shown.get("status", {}).get("conditions", [])}.get(kind)


SERVER = "hostname > /tmp/index.html; exec busybox httpd -f -h /tmp -p"
UDP_SERVER = """
import os, socket
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("", {port}))
while True:
    heard.sendto(os.uname().nodename.encode(), heard.recvfrom(1000)[1])
"""


def server(ns, name_, port=80, **spec):
    """A pod that says its name over HTTP."""
    return ns.pod(f"{SERVER} {port}", name_, **spec)


def udp_server(ns, name_, port=80, container=None, **spec):
    """A pod that says its name to each datagram; busybox has nothing for that, but this machine has."""
    mount = {"volumeMounts": [{"name": "machine", "mountPath": "/machine"}]}
    command = ["busybox", "chroot", "/machine", sys.executable, "-c", UDP_SERVER.format(port=port)]
    volumes = [{"name": "machine", "hostPath": {"path": "/"}}]
    return ns.pod(name_=name_, container={**mount, "command": command, **(container or {})}, volumes=volumes, **spec)


def udp_answer(address, port):
    """What a server says to a datagram of this machine, None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.3)
        try:
            asking.connect((address, port))
            asking.send(b"who")
            return asking.recv(1000).decode()
        except OSError:
            return None


def allocatable(cluster):
    """What the node has for pods: whole processors and bytes of memory."""
    node = cluster.get("/api/v1/nodes").ok()["items"]
    amounts = next(it for it in node if it["status"].get("nodeInfo", {}).get("kubeletVersion"))["status"]["allocatable"]
    return {name: math.ceil(parse_quantity(amounts[name])) for name in ("cpu", "memory")}


def with_volumes(sources, **container):
    """For `pod` and `output`: volumes by name, each mounted at `/NAME`."""
    mounts = [{"name": it, "mountPath": f"/{it}"} for it in sources]
    volumes = [{"name": it, **source} for it, source in sources.items()]
    return {"container": {"volumeMounts": mounts, **container}, "volumes": volumes}


@contextmanager
def converted_kind(cluster):
    """A custom kind that a webhook converts: version 1 has `hostPort`, version 2 `host` and `port`, by which objects are selected."""

    def converted(shown, wanted):
        shown = {**shown, "apiVersion": wanted}
        if wanted.endswith("/v2") and "hostPort" in shown:
            shown["host"], shown["port"] = shown.pop("hostPort").split(":")
        elif wanted.endswith("/v1") and "host" in shown:
            shown["hostPort"] = f"{shown.pop('host')}:{shown.pop('port', '')}"
        return shown

    def answer(_method, _path, _headers, body):
        request = body["request"]
        objects = [converted(it, request["desiredAPIVersion"]) for it in request["objects"]]
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objects}
        return 200, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}

    def fields(*names):
        return {it: {"type": "string"} for it in names}, [{"jsonPath": f".{it}"} for it in names]

    with https_server(answer) as server:
        client = {"url": f"https://127.0.0.1:{server.port}/", "caBundle": base64.b64encode(server.authority).decode()}
        conversion = {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]}}
        (old, selected), (new, also) = fields("hostPort"), fields("host", "port")
        one, two = version("v1", old, selectableFields=selected), version("v2", new, storage=False, selectableFields=also)
        with custom_kind(cluster, one, two, conversion=conversion) as crd:
            yield crd

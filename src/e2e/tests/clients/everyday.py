"""What people do every day with kr8s, on the cluster of KUBECONFIG, which has the image busybox:1."""

import asyncio
import base64
import contextlib
import datetime
import json
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from unittest import mock

import kr8s
from checks import PATIENCE, check, name, run, until
from kr8s.objects import ConfigMap, CustomResourceDefinition, Deployment, Job, Namespace, Pod, Secret, Service
from kr8s.objects import new_class, objects_from_files

SERVER = "echo hello > /tmp/index.html; echo serving; exec httpd -f -v -p 8080 -h /tmp"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@contextlib.contextmanager
def refused(code, reason):
    """The server must refuse it so; gives the Status that it answers with."""
    status = {}
    try:
        yield status
    except kr8s.ServerError as error:
        status.update(error.status)
        assert error.response.status_code == code, error.status
        assert (status["kind"], status["code"], status["reason"]) == ("Status", code, reason), status
    else:
        raise AssertionError(f"was not refused with {code}")


def call(method, version, url, **more):
    """One request by the library's own session; the library has no function of its own for it."""

    async def send():
        api = await kr8s.asyncio.api()
        async with api.call_api(method, version=version, url=url, **more) as response:
            return response.json()

    return asyncio.run(send())


def apply(namespace, manifest, manager, force=False):
    params = {"fieldManager": manager, "force": "true" if force else "false"}
    return call(
        "PATCH",
        manifest["apiVersion"],
        f"{manifest['kind'].lower()}s/{manifest['metadata']['name']}",
        namespace=namespace,
        content=json.dumps(manifest),
        headers={"Content-Type": "application/apply-patch+yaml"},
        params=params,
    )


def made(cls, spec, namespace):
    one = cls(spec, namespace=namespace)
    one.create()
    return one


def pod(namespace, line, **more):
    container = {"name": "main", "image": "busybox:1", "command": ["sh", "-c", line], **more}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
    return made(Pod, {"metadata": {"name": name("pod"), "labels": {"of": "checks"}}, "spec": spec}, namespace)


MANIFEST = f"""
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {{app: web, tier: front}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: busybox:1
        command: ["sh", "-c", {json.dumps(SERVER)}]
        ports: [{{containerPort: 8080}}]
        readinessProbe:
          httpGet: {{path: /, port: 8080}}
          periodSeconds: 1
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
"""


def web(namespace):
    """The Deployment and its Service, ready."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "web.yaml"
        path.write_text(MANIFEST)
        deployment, service = objects_from_files(path)
    assert isinstance(deployment, Deployment) and isinstance(service, Service)
    for one in (deployment, service):
        one.namespace = namespace
        one.create()
    deployment.wait("condition=Available", timeout=PATIENCE)
    until(deployment.ready, "all replicas are ready")
    return deployment, service


def web_pods(namespace):
    return {each.name for each in kr8s.get("pods", namespace=namespace, label_selector={"app": "web"})}


def patch_web(namespace, patch):
    """A strategic merge patch."""
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    return call("PATCH", "apps/v1", "deployments/web", namespace=namespace, content=json.dumps(patch), headers=headers)


# -- the cluster ---------------------------------------------------------------------------------------------------------


@check
def the_cluster_tells_about_itself(namespace):
    api = kr8s.api()
    version = api.version()
    assert version["gitVersion"].startswith("v1.") and version["platform"].startswith("linux/"), version
    assert api.whoami()
    assert {"v1", "apps/v1", "batch/v1"} <= set(api.api_versions())
    kinds = {resource["kind"]: resource for resource in api.api_resources()}
    assert kinds["Deployment"]["shortNames"] == ["deploy"] and kinds["Deployment"]["namespaced"], kinds["Deployment"]
    assert "watch" in kinds["Pod"]["verbs"] and not kinds["Node"]["namespaced"]
    [node] = kr8s.get("nodes")
    node.wait("condition=Ready", timeout=PATIENCE)
    assert node.status.nodeInfo.kubeletVersion == version["gitVersion"], node.status.nodeInfo
    for kind in ("ing", "ingress", "ingresses", "Ingress", "ingress.networking.k8s.io", "ingress.v1.networking.k8s.io"):
        assert list(kr8s.get(kind, namespace=namespace)) == [], kind


@check
def a_node_is_cordoned(namespace):
    [node] = kr8s.get("nodes")
    node.cordon()
    assert node.spec.unschedulable is True
    waiting = pod(namespace, "sleep 1000")
    waiting.wait("condition=PodScheduled=False", timeout=PATIENCE)
    [condition] = [each for each in waiting.status.conditions if each.type == "PodScheduled"]
    assert condition.reason == "Unschedulable" and "unschedulable" in condition.message, condition
    node.uncordon()
    assert not node.spec.get("unschedulable")
    waiting.wait("condition=Ready", timeout=PATIENCE)
    waiting.delete(force=True)
    waiting.wait("delete", timeout=PATIENCE)


@check
def a_namespace_comes_and_goes(_):
    own = Namespace({"metadata": {"name": name("ns"), "labels": {"of": "checks"}}})
    own.create()
    own.wait("jsonpath='{.status.phase}'=Active", timeout=PATIENCE)
    made(ConfigMap, {"metadata": {"name": "in-it"}}, own.name)
    until(lambda: [each.name for each in kr8s.get("serviceaccounts", namespace=own.name)] == ["default"], "its account")
    own.delete()
    own.wait("delete", timeout=PATIENCE)
    assert not own.exists()
    with refused(404, "NotFound"):
        made(ConfigMap, {"metadata": {"name": "too-late"}}, own.name)


# -- a Deployment --------------------------------------------------------------------------------------------------------


@check
def a_deployment_from_a_manifest(namespace):
    deployment, service = web(namespace)
    assert deployment.replicas == 2 and len(deployment.pods()) == 2
    assert deployment.status.readyReplicas == 2 and deployment.status.observedGeneration == 1
    assert [each.name for each in kr8s.get("deploy", namespace=namespace, label_selector={"tier": "front"})] == ["web"]
    assert list(kr8s.get("deploy", namespace=namespace, label_selector="tier notin (front)")) == []
    pods = list(kr8s.get("pods", namespace=namespace, label_selector="app in (web),app"))
    assert len(pods) == 2 and all(each.metadata.ownerReferences[0].kind == "ReplicaSet" for each in pods)
    running = kr8s.get("pods", namespace=namespace, field_selector="status.phase=Running", label_selector="app=web")
    assert len(list(running)) == 2
    everywhere = [each.name for each in kr8s.get("pods", namespace=kr8s.ALL, label_selector={"app": "web"})]
    assert sorted(everywhere) == sorted(each.name for each in pods)
    table = call("GET", "apps/v1", "deployments", namespace=namespace, headers={"Accept": TABLE})
    assert table["kind"] == "Table" and table["rows"][0]["cells"][:2] == ["web", "2/2"], table

    deployment.scale(3)
    until(deployment.ready, "three are ready")
    assert len(deployment.pods()) == 3
    scale = call("GET", "apps/v1", "deployments/web/scale", namespace=namespace)
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (3, "app=web"), scale
    deployment.patch({"spec": {"replicas": 1}}, subresource="scale")
    until(lambda: len(web_pods(namespace)) == 1, "one is left")

    # the manifest's image again, under another environment: a rollout
    before = web_pods(namespace)
    deployment = Deployment.get("web", namespace=namespace)
    container = {"name": "web", "env": [{"name": "A", "value": "1"}]}
    patch_web(namespace, {"spec": {"template": {"spec": {"containers": [container]}}}})
    until(lambda: deployment.ready() and web_pods(namespace).isdisjoint(before), "another pod is ready")
    [container] = deployment.spec.template.spec.containers
    assert container.image == "busybox:1" and container.env == [{"name": "A", "value": "1"}], container
    assert deployment.annotations["deployment.kubernetes.io/revision"] == "2", deployment.annotations

    until(service.ready, "the service has a ready pod")
    assert [each.name for each in service.ready_pods()] == [each.name for each in deployment.pods()]
    answer = service.proxy_http_get("/index.html", port=80)
    assert (answer.status_code, answer.text) == (200, "hello\n"), answer

    service.delete()
    deployment.delete(propagation_policy="Foreground")
    deployment.wait("delete", timeout=PATIENCE)
    assert web_pods(namespace) == set()
    assert list(kr8s.get("replicasets", namespace=namespace)) == []


@check
def what_was_made_is_orphaned(namespace):
    deployment, service = web(namespace)
    [replica_set] = kr8s.get("replicasets", namespace=namespace, label_selector={"app": "web"})
    assert replica_set.metadata.ownerReferences[0].uid == deployment.metadata.uid
    deployment.delete(propagation_policy="Orphan")
    deployment.wait("delete", timeout=PATIENCE)
    replica_set.refresh()
    assert not replica_set.metadata.get("ownerReferences"), replica_set.metadata
    assert len(web_pods(namespace)) == 2
    replica_set.delete(propagation_policy="Background")
    until(lambda: not web_pods(namespace), "the pods are collected")
    service.delete()


# -- objects -------------------------------------------------------------------------------------------------------------


@check
def watches(namespace):
    seen = []
    since = call("GET", "v1", "configmaps", namespace=namespace)["metadata"]["resourceVersion"]

    def watch():
        for event, one in kr8s.watch("configmaps", namespace=namespace, label_selector={"of": "watch"}, since=since):
            seen.append((event, one.name, one.raw.get("data")))
            if event == "DELETED" and one.name == "one":
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    one = made(ConfigMap, {"metadata": {"name": "one", "labels": {"of": "watch"}}, "data": {"a": "1"}}, namespace)
    other = made(ConfigMap, {"metadata": {"name": "other", "labels": {"of": "watch"}}}, namespace)
    made(ConfigMap, {"metadata": {"name": "not-selected"}}, namespace).delete()
    one.patch({"data": {"a": "2"}})
    # to a watch with a selector it is gone when it no longer matches
    other.label("of-")
    other.delete()
    one.delete()
    watcher.join(PATIENCE)
    assert not watcher.is_alive(), seen
    assert seen == [
        ("ADDED", "one", {"a": "1"}),
        ("ADDED", "other", None),
        ("MODIFIED", "one", {"a": "2"}),
        ("DELETED", "other", None),
        ("DELETED", "one", {"a": "2"}),
    ], seen


@check
def patches(namespace):
    one = made(ConfigMap, {"metadata": {"name": "patched"}, "data": {"a": "1", "b": "2"}}, namespace)
    before = one.metadata.resourceVersion
    one.patch({"data": {"a": None, "c": "3"}})
    assert one.data == {"b": "2", "c": "3"} and one.metadata.resourceVersion != before, one.raw
    one.patch(
        [
            {"op": "test", "path": "/data/b", "value": "2"},
            {"op": "replace", "path": "/data/b", "value": "two"},
            {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "c"}},
            {"op": "remove", "path": "/data/c"},
        ],
        type="json",
    )
    assert one.data == {"b": "two"} and one.annotations == {"a/b": "c"}, one.raw
    with refused(422, "Invalid") as status:
        one.patch([{"op": "test", "path": "/data/b", "value": "2"}], type="json")
    assert status["message"].startswith("the server rejected our request due to an error in our request"), status
    one.label(x="1", y="2")
    one.label("x-")
    one.annotate({"z": "3"})
    one.refresh()
    assert one.labels == {"y": "2"} and one.annotations == {"a/b": "c", "z": "3"}, one.metadata
    one.delete()
    with contextlib.suppress(kr8s.NotFoundError):
        one.refresh()
        raise AssertionError("it is still there")


@check
def server_side_apply(namespace):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1", "b": "1"}}
    first = apply(namespace, manifest, "first")
    assert [(each["manager"], each["operation"]) for each in first["metadata"]["managedFields"]] == [("first", "Apply")]
    again = apply(namespace, manifest, "first")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    theirs = {**manifest, "data": {"b": "2", "c": "2"}}
    with refused(409, "Conflict") as status:
        apply(namespace, theirs, "second")
    [cause] = status["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.b"), cause
    assert cause["message"] == 'conflict with "first"', cause
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "first": .data.b', status
    forced = apply(namespace, theirs, "second", force=True)
    assert forced["data"] == {"a": "1", "b": "2", "c": "2"}, forced["data"]
    # what only the first one owned is gone when it no longer applies it
    left = apply(namespace, {**manifest, "data": {}}, "first")
    assert left["data"] == {"b": "2", "c": "2"}, left["data"]
    ConfigMap.get("applied", namespace=namespace).delete()


@check
def config_maps_and_secrets(namespace):
    data = {"app.conf": "colour=blue\n", "LEVEL": "3"}
    settings = made(ConfigMap, {"metadata": {"name": "settings"}, "data": data}, namespace)
    secret = made(Secret, {"metadata": {"name": "token"}, "stringData": {"token": "s3cret"}}, namespace)
    assert secret.raw.type == "Opaque" and "stringData" not in secret.raw
    assert base64.b64decode(secret.raw["data"]["token"]) == b"s3cret"
    spec = {
        "restartPolicy": "Never",
        "volumes": [
            {"name": "settings", "configMap": {"name": "settings", "items": [{"key": "app.conf", "path": "app.conf"}]}},
            {"name": "token", "secret": {"secretName": "token", "defaultMode": 0o400}},
        ],
        "containers": [
            {
                "name": "main",
                "image": "busybox:1",
                "command": ["sh", "-c", 'cat /etc/app/app.conf; echo "level=$LEVEL token=$TOKEN"; cat /etc/token/token'],
                "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "volumeMounts": [
                    {"name": "settings", "mountPath": "/etc/app"},
                    {"name": "token", "mountPath": "/etc/token", "readOnly": True},
                ],
            }
        ],
    }
    reader = made(Pod, {"metadata": {"name": "reader"}, "spec": spec}, namespace)
    reader.wait("jsonpath='{.status.phase}'=Succeeded", timeout=PATIENCE)
    assert list(reader.logs()) == ["colour=blue", "level=3 token=s3cret", "s3cret"], list(reader.logs())
    fixed = made(ConfigMap, {"metadata": {"name": "fixed"}, "immutable": True, "data": {"a": "1"}}, namespace)
    with refused(422, "Invalid") as status:
        fixed.patch({"data": {"a": "2"}})
    assert [each["field"] for each in status["details"]["causes"]] == ["data"], status
    for one in (reader, settings, secret, fixed):
        one.delete()


@check
def errors(namespace):
    with contextlib.suppress(kr8s.NotFoundError):
        Pod.get("none", namespace=namespace, timeout=1)
        raise AssertionError("was found")
    with refused(404, "NotFound") as status:
        call("GET", "v1", "pods/none", namespace=namespace)
    assert status["message"] == 'pods "none" not found', status
    assert status["details"] == {"name": "none", "kind": "pods"}, status
    one = made(ConfigMap, {"metadata": {"name": "taken"}}, namespace)
    with refused(409, "AlreadyExists") as status:
        made(ConfigMap, {"metadata": {"name": "taken"}}, namespace)
    assert status["message"] == 'configmaps "taken" already exists', status
    stale = one.metadata.resourceVersion
    one.patch({"data": {"a": "1"}})
    with refused(409, "Conflict") as status:
        one.patch({"metadata": {"resourceVersion": stale}, "data": {"a": "2"}})
    assert "the object has been modified" in status["message"], status
    one.delete()
    with refused(422, "Invalid") as status:
        made(Pod, {"metadata": {"name": "Wrong_Name"}, "spec": {"containers": [{"name": "a"}]}}, namespace)
    causes = {each["field"]: each["reason"] for each in status["details"]["causes"]}
    assert causes == {
        "metadata.name": "FieldValueInvalid",
        "spec.containers[0].image": "FieldValueRequired",
    }, status
    template = {"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    spec = {"replicas": -1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    with refused(422, "Invalid") as status:
        made(Deployment, {"metadata": {"name": "wrong"}, "spec": spec}, namespace)
    fields = {each["field"] for each in status["details"]["causes"]}
    assert fields == {"spec.replicas", "spec.template.metadata.labels"}, status
    with refused(400, "BadRequest") as status:
        made(ConfigMap, {"metadata": {"name": "wrong"}, "data": {"a": 1}}, namespace)
    assert "cannot unmarshal number" in status["message"], status


# -- pods ----------------------------------------------------------------------------------------------------------------


@check
def logs(namespace):
    line = "for n in 1 2 3; do echo line $n; done; echo complaint >&2; until [ -e /tmp/go ]; do sleep 0.1; done; echo last"
    one = pod(namespace, line)
    one.wait("condition=Ready", timeout=PATIENCE)
    lines = ["line 1", "line 2", "line 3", "complaint"]
    until(lambda: sorted(one.logs()) == sorted(lines), "its lines")
    assert len(list(one.logs(tail_lines=2))) == 2
    assert "".join(one.logs(container="main", limit_bytes=6)) == "line 1"
    stamp = next(one.logs(timestamps=True)).split(" ", 1)
    assert stamp[1] == "line 1" and stamp[0].startswith(str(datetime.datetime.now(datetime.timezone.utc).year)), stamp
    assert len(list(one.logs(since_seconds=3600))) == 4
    followed = []
    follower = threading.Thread(target=lambda: followed.extend(one.logs(follow=True, timeout=PATIENCE)), daemon=True)
    follower.start()
    # the container may end before who has told it so, and takes that along
    assert one.exec(["touch", "/tmp/go"], check=False).returncode in (0, 137)
    # follows until the container has ended
    follower.join(PATIENCE)
    assert not follower.is_alive() and sorted(followed) == sorted([*lines, "last"]), followed
    with refused(400, "BadRequest") as status:
        list(one.logs(container="none"))
    assert "container none is not valid for pod" in status["message"], status
    one.delete()


@check
def exec_in_a_pod(namespace):
    one = pod(namespace, "sleep 1000")
    one.wait("condition=Ready", timeout=PATIENCE)
    done = one.exec(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7), done
    done = one.exec(["cat", "/proc/sys/kernel/hostname"])
    assert (done.stdout.decode(), done.returncode) == (f"{one.name}\n", 0), done
    failed = one.exec(["false"], check=False)
    with contextlib.suppress(kr8s.ExecError):
        failed.check_returncode()
        raise AssertionError("false did not fail")
    many = one.exec(["sh", "-c", "yes 0123456789 | head -n 100000"])
    assert many.stdout == b"0123456789\n" * 100000, len(many.stdout)
    # it has what standard input takes, but asks for an older protocol
    with mock.patch("kr8s._exec.EXEC_PROTOCOL", "v5.channel.k8s.io"):
        fed = one.exec(["sh", "-c", "wc -c; exit 3"], stdin="x" * 10000, check=False)
        assert (fed.stdout, fed.returncode) == (b"10000\n", 3), fed
    # a stream of the caller's own, and none that is kept
    with tempfile.TemporaryFile() as output:
        done = one.exec(["echo", "to a file"], stdout=output, capture_output=False)
        output.seek(0)
        assert (output.read(), done.stdout) == (b"to a file\n", b"")
    one.delete(force=True)
    one.wait("delete", timeout=PATIENCE)


@check
def port_forward(namespace):
    deployment, service = web(namespace)
    [first, *_] = deployment.pods()
    # of a Service, too, the library wants the port of its pods
    for target in (first, service):
        with target.portforward(8080, local_port="auto") as local:
            for _ in range(3):
                with urllib.request.urlopen(f"http://127.0.0.1:{local}/index.html", timeout=PATIENCE) as answer:
                    assert (answer.status, answer.read()) == (200, b"hello\n")
    # the server tells what it was asked for
    until(lambda: any("GET /index.html" in line or "response:200" in line for line in first.logs()), "requests in its log")
    service.delete()
    deployment.delete()
    until(lambda: not web_pods(namespace), "the pods are gone")


@check
def a_job_runs_to_its_end(namespace):
    container = {"name": "main", "image": "busybox:1", "command": ["sh", "-c", "echo $JOB_COMPLETION_INDEX"]}
    spec = {
        "completions": 3,
        "parallelism": 2,
        "completionMode": "Indexed",
        "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
    }
    job = made(Job, {"metadata": {"name": "counts"}, "spec": spec}, namespace)
    job.wait(["condition=Complete", "condition=Failed"], timeout=PATIENCE)
    assert job.status.succeeded == 3 and job.status.completedIndexes == "0-2", job.status
    pods = list(kr8s.get("pods", namespace=namespace, label_selector={"job-name": "counts"}))
    assert sorted(line for each in pods for line in each.logs()) == ["0", "1", "2"]
    job.delete(propagation_policy="Foreground")
    job.wait("delete", timeout=PATIENCE)
    assert list(kr8s.get("pods", namespace=namespace, label_selector={"job-name": "counts"})) == []

    container = {**container, "command": ["false"]}
    spec = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    job = made(Job, {"metadata": {"name": "fails"}, "spec": spec}, namespace)
    job.wait(["condition=Complete", "condition=Failed"], timeout=PATIENCE)
    [condition] = [each for each in job.status.conditions if each.type == "Failed"]
    assert condition.reason == "BackoffLimitExceeded" and job.status.failed == 1, job.status
    job.delete(propagation_policy="Background")


# -- more kinds ----------------------------------------------------------------------------------------------------------


@check
def custom_resources(namespace):
    properties = {"size": {"type": "integer", "minimum": 1}, "colour": {"type": "string", "default": "blue"}}
    spec = {"type": "object", "properties": properties}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        },
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }
    names = {"kind": "Shirt", "plural": "shirts", "singular": "shirt", "shortNames": ["shi"]}
    definition = CustomResourceDefinition(
        {
            "metadata": {"name": "shirts.kr8s.example.com"},
            "spec": {"group": "kr8s.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    definition.create()
    definition.wait("condition=Established", timeout=PATIENCE)
    Shirt = new_class("Shirt", "kr8s.example.com/v1", namespaced=True, scalable=True, scalable_spec="size")
    mine = {"metadata": {"name": "mine"}, "spec": {"size": 2}}
    shirt = until(lambda: served(lambda: made(Shirt, mine, namespace)), "it is served")
    assert shirt.spec == {"size": 2, "colour": "blue"} and shirt.metadata.generation == 1, shirt.raw
    shirt.patch({"status": {"size": 2}}, subresource="status")
    assert shirt.status.size == 2 and shirt.metadata.generation == 1, shirt.raw
    # the main resource leaves the status alone
    shirt.patch({"status": {"size": 9}, "spec": {"colour": "red"}})
    assert shirt.status.size == 2 and shirt.spec.colour == "red" and shirt.metadata.generation == 2, shirt.raw
    shirt.scale(4)
    assert shirt.replicas == 4
    scale = call("GET", "kr8s.example.com/v1", "shirts/mine/scale", namespace=namespace)
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["replicas"]) == ("Scale", 4, 2), scale
    with refused(422, "Invalid") as status:
        shirt.patch({"spec": {"size": 0}})
    assert [each["field"] for each in status["details"]["causes"]] == ["spec.size"], status
    for kind in ("shirts.kr8s.example.com", "shi", "shirt.v1.kr8s.example.com"):
        assert [each.name for each in kr8s.get(kind, namespace=namespace)] == ["mine"], kind
    table = call("GET", "kr8s.example.com/v1", "shirts", namespace=namespace, headers={"Accept": TABLE})
    assert table["rows"][0]["cells"] == ["mine", 4], table
    event, seen = next(kr8s.watch("shirts.kr8s.example.com", namespace=namespace))
    assert (event, seen.name) == ("ADDED", "mine")
    shirt.delete()
    assert not shirt.exists()
    definition.delete()
    definition.wait("delete", timeout=PATIENCE)
    with refused(404, "NotFound"):
        call("GET", "kr8s.example.com/v1", "shirts", namespace=namespace)


def served(make):
    """What it makes; None where the kind is not yet there."""
    try:
        return make()
    except kr8s.ServerError as error:
        if error.response.status_code != 404:
            raise
        return None


@check
def a_lease_is_taken(namespace):
    Lease = new_class("Lease", "coordination.k8s.io/v1", namespaced=True)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 15, "acquireTime": now, "renewTime": now}
    lease = made(Lease, {"metadata": {"name": "leader"}, "spec": spec}, namespace)
    assert lease.spec == spec, lease.spec
    other = Lease.get("leader", namespace=namespace)
    lease.patch({"metadata": {"resourceVersion": lease.metadata.resourceVersion}, "spec": {"leaseTransitions": 1}})
    # two of them can not hold it
    with refused(409, "Conflict"):
        version = other.metadata.resourceVersion
        other.patch({"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "two"}})
    lease.refresh()
    assert lease.spec.holderIdentity == "one" and lease.spec.leaseTransitions == 1, lease.spec
    lease.delete()


@check
def metrics(namespace):
    one = pod(namespace, "while true; do :; done", resources={"limits": {"cpu": "100m", "memory": "64Mi"}})
    one.wait("condition=Ready", timeout=PATIENCE)

    # their resources have no singular name, by which the library would find them
    PodMetrics = new_class("PodMetrics", "metrics.k8s.io/v1beta1", plural="pods")
    NodeMetrics = new_class("NodeMetrics", "metrics.k8s.io/v1beta1", namespaced=False, plural="nodes")

    def used():
        seen = list(kr8s.get(PodMetrics, namespace=namespace, label_selector={"of": "checks"}))
        return [each for each in seen if each.name == one.name and each.raw.containers[0].usage.cpu != "0"]

    [seen] = until(used, "its metrics")
    [container] = seen.raw.containers
    assert container.name == "main" and container.usage.memory.endswith("Ki") and seen.raw.window, seen.raw
    [node] = kr8s.get(NodeMetrics)
    assert [node.name] == [each.name for each in kr8s.get("nodes")], node.raw
    assert node.raw.usage.cpu and node.raw.usage.memory, node.raw
    one.delete(force=True)


@check
def many_are_made_at_once(namespace):
    names = [f"many-{n:03}" for n in range(250)]
    many = [{"metadata": {"name": each, "labels": {"of": "many"}}} for each in names]
    kr8s.create([ConfigMap(each, namespace=namespace) for each in many])
    # the library asks for them in pages
    listed = [each.name for each in kr8s.get("configmaps", namespace=namespace, label_selector={"of": "many"})]
    assert listed == names, listed
    seen, more = [], {"limit": 100, "labelSelector": "of=many"}
    while more.get("continue", "first"):
        page = call("GET", "v1", "configmaps", namespace=namespace, params=more)
        seen.append([each["metadata"]["name"] for each in page["items"]])
        more["continue"] = page["metadata"].get("continue")
    assert [len(each) for each in seen] == [100, 100, 50] and sum(seen, []) == names, seen
    gone = call("DELETE", "v1", "configmaps", namespace=namespace, params={"labelSelector": "of=many"})
    assert gone["kind"] == "ConfigMapList" and len(gone["items"]) == 250
    assert list(kr8s.get("configmaps", namespace=namespace, label_selector={"of": "many"})) == []


# ------------------------------------------------------------------------------------------------------------------------


def main(wanted):
    own = Namespace({"metadata": {"name": name("everyday")}})
    own.create()
    failed = run(wanted, own.name)
    own.delete()
    own.wait("delete", timeout=PATIENCE)
    sys.exit(f"failed: {failed}" if failed else 0)


main(sys.argv[1:])

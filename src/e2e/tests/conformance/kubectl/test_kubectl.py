"""What kubectl does with a cluster."""

import http.client
import json
import os
import re
import socket
import subprocess

import pytest
from support import conforms, template, until

WEB = {
    "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 1, "selector": {"app": "web"},
        "template": template({"app": "web"}, "hostname > /tmp/index.html; exec busybox httpd -f -p 80 -h /tmp"),
    },
}
WEB["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 80}]


@pytest.fixture
def kubectl(ns, cluster):
    def run(*arguments, **more):
        return cluster.kubectl("--namespace", ns.name, *arguments, **more)

    return run


def until_ready(ns, replicas=1):
    ns.until("replicationcontrollers/web", lambda it: it.get("status", {}).get("readyReplicas") == replicas)
    return sorted(it["metadata"]["name"] for it in ns.pods("app%3Dweb"))


def make_web(ns, kubectl):
    """Has kubectl make the controller; returns the name of its pod."""
    assert "replicationcontroller/web created" in kubectl("create", "-f", "-", stdin=json.dumps(WEB))
    return until_ready(ns)[0]


@conforms("[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions")
def test_api_versions(kubectl):
    assert "v1" in kubectl("api-versions").splitlines()


@conforms(
    "[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info"
)
def test_cluster_info(kubectl):
    assert re.search(r"Kubernetes control plane.*is running at.*https://", kubectl("cluster-info"))


@conforms("[sig-cli] Kubectl client Kubectl version should check is all data is printed")
def test_version(kubectl):
    said = kubectl("version")
    assert re.search(r"^Client Version: v\d+\.\d+", said, re.M) and re.search(r"^Server Version: v\d+\.\d+", said, re.M)
    server = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert server["gitVersion"].startswith(f"v{server['major']}.{server['minor']}.") and server["platform"].startswith("linux/")


@conforms("[sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods")
def test_describe(ns, kubectl):
    pod = make_web(ns, kubectl)
    kubectl("create", "service", "clusterip", "web", "--tcp=80")
    ns.until("endpoints/web", lambda it: it.get("subsets"))

    def described(*what):
        """The lines of it, with single spaces."""
        return [" ".join(line.split()) for line in kubectl("describe", *what).splitlines()]

    said = described("pod", pod)
    node, address = (lambda it: (it["spec"]["nodeName"], it["status"]["podIP"]))(ns.get(f"pods/{pod}"))
    for line in (
        f"Name: {pod}", f"Namespace: {ns.name}", f"Node: {node}/203.0.113.1", "Labels: app=web", "Status: Running", f"IP: {address}",
        "Controlled By: ReplicationController/web", "Image: busybox:1", "State: Running", "QoS Class: BestEffort",
    ):
        assert line in said, f"{line}: {said}"
    said = described("rc", "web")
    for line in (
        "Name: web", f"Namespace: {ns.name}", "Selector: app=web", "Labels: app=web", "Annotations: <none>",
        "Replicas: 1 current / 1 desired", "Pods Status: 1 Running / 0 Waiting / 0 Succeeded / 0 Failed", "Image: busybox:1", "Events:",
    ):
        assert line in said, f"{line}: {said}"
    said = described("service", "web")
    spec = ns.get("services/web")["spec"]
    for line in (
        "Name: web", f"Namespace: {ns.name}", "Labels: app=web", "Selector: app=web", "Type: ClusterIP", f"IP: {spec['clusterIP']}",
        "Port: 80 80/TCP", f"Endpoints: {address}:80", "Session Affinity: None",
    ):
        assert line in said, f"{line}: {said}"
    said = described("node", node)
    for line in (f"Name: {node}", "Conditions:", "Addresses:", "Capacity:", "Allocatable:", "InternalIP: 203.0.113.1"):
        assert line in said, f"{line}: {said}"
    for word in ("Labels:", "CreationTimestamp:", "MemoryPressure", "DiskPressure", "Ready", "Kubelet Version:", "Pods", "Namespace"):
        assert any(word in line for line in said), f"{word}: {said}"
    said = described("namespace", ns.name)
    assert f"Name: {ns.name}" in said and "Status: Active" in said
    # a CronJob too
    kubectl("create", "cronjob", "cron", "--image=busybox:1", "--schedule=*/5 * * * ?", "--", "true")
    said = described("cronjob", "cron")
    for line in ("Name: cron", "Schedule: */5 * * * ?", "Concurrency Policy: Allow", "Suspend: False", "Active Jobs: <none>"):
        assert line in said, f"{line}: {said}"


@conforms("[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments")
def test_diff(ns, kubectl):
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template({"app": "web"})}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    kubectl("create", "-f", "-", stdin=json.dumps(body))
    same = kubectl("diff", "-f", "-", stdin=json.dumps(body))
    assert same == ""
    changed = json.dumps(body).replace("busybox:1", "busybox:2")
    done = subprocess.run(
        [os.environ["MONOPOD_KUBECTL"], "diff", "-f", "-", "--namespace", ns.name],
        input=changed, capture_output=True, text=True, timeout=30,
    )
    assert done.returncode == 1, done.stderr
    assert re.search(r"^-\s+(- )?image: busybox:1$", done.stdout, re.M), done.stdout
    assert re.search(r"^\+\s+(- )?image: busybox:2$", done.stdout, re.M), done.stdout


@conforms("[sig-cli] Kubectl client Kubectl expose should create services for rc")
def test_expose(ns, kubectl):
    make_web(ns, kubectl)
    kubectl("expose", "rc", "web", "--name=one", "--port=1234", "--target-port=80")
    kubectl("expose", "service", "one", "--name=two", "--port=2345", "--target-port=80")
    ns.until_ready(ns.pod("sleep 100000", "client"))
    for called, port in (("one", 1234), ("two", 2345)):
        spec = ns.get(f"services/{called}")["spec"]
        assert [(it["port"], it["targetPort"]) for it in spec["ports"]] == [(port, 80)] and spec["selector"] == {"app": "web"}
        pods = ns.until(f"endpoints/{called}", lambda it: it.get("subsets"))["subsets"]
        assert [p["port"] for it in pods for p in it["ports"]] == [80]
        answered = f"busybox timeout 2 wget -qO- http://{called}:{port}/"
        until(lambda answered=answered: ns.exec("client", answered).startswith("web-"), f"{called} answers")


@conforms("[sig-cli] Kubectl client Kubectl label should update the label on a resource")
def test_label(ns, kubectl):
    ns.until_ready(ns.pod("sleep 100000"))
    assert kubectl("label", "pods", "pod", "testing-label=testing-label-value") == "pod/pod labeled\n"
    shown = kubectl("get", "pod", "pod", "-L", "testing-label")
    assert "TESTING-LABEL" in shown and "testing-label-value" in shown
    assert kubectl("label", "pods", "pod", "testing-label-") == "pod/pod unlabeled\n"
    assert "testing-label-value" not in kubectl("get", "pod", "pod", "-L", "testing-label")


@conforms("[sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc")
def test_patch(ns, kubectl):
    make_web(ns, kubectl)
    for pod in ns.pods("app%3Dweb"):
        kubectl("patch", "pod", pod["metadata"]["name"], "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    assert [it["metadata"]["annotations"]["x"] for it in ns.pods("app%3Dweb")] == ["y"]


@conforms("[sig-cli] Kubectl client Kubectl replace should update a single-container pod's image")
def test_replace(ns, kubectl):
    kubectl("run", "web", "--image=busybox:1", "--labels=run=web", "--command", "--", "sleep", "100000")
    ns.until_phase("web", "Running")
    shown = kubectl("get", "pod", "web", "-o", "json")
    assert "pod/web replaced" in kubectl("replace", "-f", "-", stdin=shown.replace('"image": "busybox:1"', '"image": "busybox:other"'))
    assert ns.get("pods/web")["spec"]["containers"][0]["image"] == "busybox:other"


@conforms("[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never")
def test_run(ns, kubectl):
    assert kubectl("run", "web", "--restart=Never", "--image=busybox:1") == "pod/web created\n"
    spec = ns.get("pods/web")["spec"]
    assert (spec["restartPolicy"], spec["containers"][0]["image"]) == ("Never", "busybox:1")


@conforms("[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods")
def test_dry_run(ns, kubectl):
    kubectl("run", "web", "--image=busybox:1", "--command", "--", "sleep", "100000")
    ns.until_phase("web", "Running")
    patch = '{"spec":{"containers":[{"name":"web","image":"busybox:other"}]}}'
    said = kubectl("patch", "pod", "web", "-p", patch, "--dry-run=server", "-o", "json")
    assert json.loads(said)["spec"]["containers"][0]["image"] == "busybox:other"
    assert ns.get("pods/web")["spec"]["containers"][0]["image"] == "busybox:1"
    kubectl("delete", "pod", "web", "--now")


@pytest.fixture
def proxy():
    """Starts `kubectl proxy`; returns the process, and what it says first."""
    started = []

    def start(*arguments):
        process = subprocess.Popen([os.environ["MONOPOD_KUBECTL"], "proxy", *arguments], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.wait()


@conforms("[sig-cli] Kubectl client Proxy server should support proxy with --port 0")
def test_proxy_port(proxy):
    port = int(re.search(r"Starting to serve on 127\.0\.0\.1:(\d+)", proxy("-p", "0", "--disable-filter"))[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/api/")
    answer = connection.getresponse()
    assert answer.status == 200 and json.load(answer)["kind"] == "APIVersions"


@conforms("[sig-cli] Kubectl client Proxy server should support --unix-socket=/path")
def test_proxy_socket(proxy, tmp_path):
    path = str(tmp_path / "socket")
    assert path in proxy(f"--unix-socket={path}")
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    connection.request("GET", "/api/")
    answer = connection.getresponse()
    assert answer.status == 200 and json.load(answer)["kind"] == "APIVersions"


@conforms("[sig-cli] Kubectl client Update Demo should create and stop a replication controller")
def test_controller(ns, kubectl):
    make_web(ns, kubectl)
    said = kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=json.dumps(WEB))
    assert 'replicationcontroller "web" force deleted' in said
    until(lambda: not ns.pods(), "no pod is left")
    assert kubectl("get", "rc,svc", "-l", "app=web", "--no-headers") == ""


@conforms("[sig-cli] Kubectl client Update Demo should scale a replication controller")
def test_scale(ns, kubectl):
    make_web(ns, kubectl)
    for replicas in (3, 1):
        assert "scaled" in kubectl("scale", "rc", "web", f"--replicas={replicas}", "--timeout=1m")
        until(lambda replicas=replicas: len(ns.pods("app%3Dweb")) == replicas, f"{replicas} pods")
        until_ready(ns, replicas)
    said = kubectl("get", "pods", "-o", "template", "--template={{range.items}}{{.metadata.name}} {{end}}", "-l", "app=web")
    assert said.split() == [it["metadata"]["name"] for it in ns.pods("app%3Dweb")]


# one program for all three: the primary keeps, replicas ask it, frontends write to it and ask replicas
GUESTBOOK = r"""
read -r method path version
while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
entry=${path#/set/}
case $ROLE in
  primary) [ "$entry" = "$path" ] || echo "$entry" >> /tmp/entries; said=$(cat /tmp/entries 2>/dev/null) ;;
  replica) said=$(wget -qO- http://primary/get) ;;
  frontend) [ "$entry" = "$path" ] || wget -qO /dev/null "http://primary$path"; said=$(wget -qO- http://replica/get) ;;
esac
printf 'HTTP/1.0 200 OK\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${#said}" "$said"
"""


@conforms("[sig-cli] Kubectl client Guestbook application should create and stop a working application")
def test_guestbook(ns, cluster, kubectl):
    script = f"cat > /tmp/handle <<'END'\n{GUESTBOOK}\nEND\nexec busybox nc -ll -p 80 -e sh /tmp/handle"
    parts = []
    for role, replicas in (("primary", 1), ("replica", 2), ("frontend", 2)):
        labels = {"app": "guestbook", "role": role}
        pods = template(labels, script, {"env": [{"name": "ROLE", "value": role}]})
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pods}
        parts.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": role}, "spec": spec})
        spec = {"selector": labels, "ports": [{"port": 80}]}
        parts.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": role}, "spec": spec})
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": parts})
    assert kubectl("create", "-f", "-", stdin=manifest).count("created") == 6
    for role in ("primary", "replica", "frontend"):
        kubectl("rollout", "status", f"deployment/{role}", "--timeout=60s")

    def frontend(path):
        answer = cluster.get(ns.path(f"services/frontend/proxy/{path}"), accept="*/*")
        return answer.text if answer.status == 200 else None

    def entries(path):
        # without a probe a pod is ready before it listens, and then the same is written once more
        said = frontend(path)
        return said is not None and set(said.splitlines()) == {"TestEntry"}

    until(lambda: frontend("get") == "", "an empty guestbook")
    until(lambda: entries("set/TestEntry"), "an entry is written")
    until(lambda: entries("get"), "the entry is read")
    kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=manifest)
    until(lambda: not ns.pods(), "the application is gone")

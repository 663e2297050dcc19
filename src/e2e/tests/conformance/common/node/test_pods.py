"""Pods from their making to their end, and what is asked of a running one."""

import base64
from urllib.parse import urlencode

import pytest
import websocket
from support import BUSYBOX, STAY, conforms, name, until


@conforms("[sig-node] Pods should get a host IP [NodeConformance]")
def test_host_ip(ns):
    pod = ns.until_ready(ns.pod(STAY))
    node = ns.cluster.get(f"/api/v1/nodes/{pod['spec']['nodeName']}").ok()
    internal = [it["address"] for it in node["status"]["addresses"] if it["type"] == "InternalIP"]
    assert pod["status"]["hostIP"] in internal and pod["status"]["hostIPs"][0] == {"ip": pod["status"]["hostIP"]}


@conforms("[sig-node] Pods should be submitted and removed [NodeConformance]")
def test_submitted_and_removed(ns):
    before = ns.get("pods")["metadata"]["resourceVersion"]
    label = {"labels": {"case": ns.name}}
    assert ns.get(f"pods?labelSelector=case={ns.name}")["items"] == []
    ns.pod(STAY, metadata=label, terminationGracePeriodSeconds=30)
    assert len(ns.get(f"pods?labelSelector=case={ns.name}")["items"]) == 1
    ns.until_ready("pod")
    ns.cluster.delete(ns.path("pods/pod")).ok()
    events = ns.cluster.watch(
        ns.path("pods"), lambda it: it[-1][0] == "DELETED", resourceVersion=before, labelSelector=f"case={ns.name}"
    )
    assert events[0][0] == "ADDED" and "deletionTimestamp" not in events[0][1]["metadata"]
    marked = [pod for kind, pod in events if kind == "MODIFIED" and "deletionTimestamp" in pod["metadata"]]
    assert marked[0]["metadata"]["deletionGracePeriodSeconds"] == 30
    assert events[-1][1]["metadata"]["deletionTimestamp"]
    assert ns.get(f"pods?labelSelector=case={ns.name}")["items"] == []


@conforms("[sig-node] Pods should be updated [NodeConformance]")
def test_update(ns):
    ns.pod(STAY, metadata={"labels": {"time": "before"}})
    ns.until_ready("pod")
    ns.cluster.update(ns.path("pods/pod"), lambda pod: pod["metadata"]["labels"].update(time="after"))
    assert [it["metadata"]["name"] for it in ns.get("pods?labelSelector=time=after")["items"]] == ["pod"]
    assert ns.get("pods?labelSelector=time=before")["items"] == []


@conforms("[sig-node] Pods should allow activeDeadlineSeconds to be updated [NodeConformance]")
def test_deadline(ns):
    ns.pod(STAY)
    ns.until_ready("pod")
    ns.cluster.patch(ns.path("pods/pod"), {"spec": {"activeDeadlineSeconds": 1}}).ok()
    status = ns.until_phase("pod", "Failed", "Succeeded")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


@conforms("[sig-node] Pods should contain environment variables for services [NodeConformance]")
def test_service_variables(ns):
    port = {"port": 8765, "targetPort": 8080}
    service = ns.cluster.post(ns.path("services"), {"metadata": {"name": "foo-service"}, "spec": {"ports": [port]}}).ok()
    address = service["spec"]["clusterIP"]
    expected = {
        f"FOO_SERVICE_SERVICE_HOST={address}",
        "FOO_SERVICE_SERVICE_PORT=8765",
        f"FOO_SERVICE_PORT=tcp://{address}:8765",
        f"FOO_SERVICE_PORT_8765_TCP=tcp://{address}:8765",
        "FOO_SERVICE_PORT_8765_TCP_PROTO=tcp",
        "FOO_SERVICE_PORT_8765_TCP_PORT=8765",
        f"FOO_SERVICE_PORT_8765_TCP_ADDR={address}",
    }
    assert expected <= set(ns.output("env").splitlines())


def open_socket(ns, rest, protocol):
    settings = ns.cluster.client.configuration
    url = settings.host.replace("https", "wss") + ns.path(rest)
    tls = {"ca_certs": settings.ssl_ca_cert, "certfile": settings.cert_file, "keyfile": settings.key_file}
    return websocket.create_connection(url, subprotocols=[protocol], sslopt=tls, timeout=30)


def messages(socket):
    while True:
        code, data = socket.recv_data()
        if code == websocket.ABNF.OPCODE_CLOSE:
            return
        yield data


@conforms("[sig-node] Pods should support remote command execution over websockets [NodeConformance]")
def test_exec_over_websocket(ns):
    ns.until_ready(ns.pod(STAY))
    command = ["sh", "-c", "echo remote execution test; echo complaint >&2"]
    rest = "pods/pod/exec?" + urlencode([("stdout", 1), ("stderr", 1), ("container", "main"), *(("command", it) for it in command)])
    said = {}
    for data in messages(open_socket(ns, rest, "channel.k8s.io")):
        said[data[0]] = said.get(data[0], b"") + data[1:]
    assert said[1] == b"remote execution test\n" and said[2] == b"complaint\n" and said.get(3, b"") == b""


@pytest.mark.parametrize(
    "protocol",
    [
        pytest.param(
            "binary.k8s.io",
            marks=conforms("[sig-node] Pods should support retrieving logs from the container over websockets [NodeConformance]"),
        ),
        "base64.binary.k8s.io",
    ],
)
def test_log_over_websocket(ns, protocol):
    ns.until_ready(ns.pod(f"echo container is alive; {STAY}"))
    until(lambda: ns.log("pod"), "the log")
    said = b"".join(messages(open_socket(ns, "pods/pod/log?container=main", protocol)))
    assert (base64.b64decode(said) if protocol.startswith("base64") else said) == b"container is alive\n"


@conforms("[sig-node] Pods should delete a collection of pods")
def test_collection(ns):
    names = [ns.pod(STAY, f"pod-{n}", metadata={"labels": {"type": "Testing"}}) for n in range(3)]
    ns.pod(STAY, "other")
    assert sorted(it["metadata"]["name"] for it in ns.get("pods?labelSelector=type=Testing")["items"]) == names
    ns.cluster.delete(ns.path("pods?labelSelector=type=Testing")).ok()
    until(lambda: [it["metadata"]["name"] for it in ns.get("pods")["items"]] == ["other"], "only the other is left")


@conforms("[sig-node] Pods should patch a pod status")
def test_status_patch(ns):
    ns.pod(STAY)
    ns.until_ready("pod")
    change = {"status": {"message": "Patched by e2e test", "reason": "E2E"}}
    status = ns.cluster.patch(ns.path("pods/pod/status"), change, "strategic-merge").ok()["status"]
    assert (status["message"], status["reason"], status["phase"]) == ("Patched by e2e test", "E2E", "Running")


@conforms("[sig-node] Pods should run through the lifecycle of Pods and PodStatus")
def test_lifecycle(ns):
    cluster, label = ns.cluster, name("pod")
    before = ns.get("pods")["metadata"]["resourceVersion"]
    ns.pod(STAY, metadata={"labels": {"case": label}})
    ns.until_ready("pod")
    change = {
        "metadata": {"labels": {"more": "patched"}},
        "spec": {"containers": [{"name": "main", "image": f"docker.io/library/{BUSYBOX}"}]},
    }
    cluster.patch(ns.path("pods/pod"), change, "strategic-merge").ok()
    patched = ns.get("pods/pod")
    assert patched["metadata"]["labels"] == {"case": label, "more": "patched"}
    assert [it["image"] for it in patched["spec"]["containers"]] == [f"docker.io/library/{BUSYBOX}"]

    def replaced():
        pod = ns.get("pods/pod/status")
        pod["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "message": "set by the case"})
        answer = cluster.put(ns.path("pods/pod/status"), pod)
        return answer.status != 409 and answer.ok()

    until(replaced, "the status is replaced")
    listed = cluster.get(f"/api/v1/pods?labelSelector=case={label}").ok()["items"]
    assert "StatusUpdate" in [it["type"] for it in listed[0]["status"]["conditions"]]
    cluster.delete(ns.path("pods/pod")).ok()
    events = cluster.watch(
        ns.path("pods"), lambda it: it[-1][0] == "DELETED", resourceVersion=before, labelSelector=f"case={label}"
    )
    assert events[0][0] == "ADDED" and {kind for kind, _ in events[1:-1]} == {"MODIFIED"}
    assert "StatusUpdate" in [it["type"] for it in events[-1][1]["status"]["conditions"]]
    cluster.get(ns.path("pods/pod")).refused(404)

"""Probes: what is restarted, what is ready, and what is left alone."""

import datetime
import socket
import struct
import threading

import pytest
from support import conforms, until

# serves /healthz, says each request, and stops serving when the file is gone
HEALTHZ = "mkdir /www && echo ok > /www/healthz && httpd -f -vv -p 8080 -h /www 2>&1"
QUICK = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}
# who begins slowly is not unwell: the first may come before there is anything to be asked
PATIENT = {**QUICK, "failureThreshold": 5}


def status(ns):
    return (ns.get("pods/pod")["status"].get("containerStatuses") or [None])[0]


def until_restarted(ns, times=1):
    def look():
        it = status(ns)
        return it if it and it["restartCount"] >= times else None

    it = until(look, f"{times} restarts")
    ended = "Container main failed liveness probe, will be restarted"
    until(lambda: any(ended == it["message"] for it in ns.get("events?fieldSelector=reason=Killing")["items"]), ended)
    return it


def until_unhealthy(ns, why):
    def told():
        warnings = [it["message"] for it in ns.get("events?fieldSelector=reason=Unhealthy")["items"]]
        return any(f"Liveness probe failed: {why}" in it for it in warnings)

    until(told, why)


def still_first(ns):
    it = status(ns)
    assert it["restartCount"] == 0 and it["ready"] and "running" in it["state"]


@conforms('[sig-node] Probing container should be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance]')
def test_exec_fails(ns):
    probe = {"exec": {"command": ["cat", "/tmp/health"]}, **QUICK}
    ns.pod("touch /tmp/health; sleep 1; rm /tmp/health; sleep 1000", container={"livenessProbe": probe}, restartPolicy="Always")
    until_restarted(ns)
    until_unhealthy(ns, "cat: can't open '/tmp/health'")


@conforms('[sig-node] Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance]')
def test_exec_holds(ns):
    command = ["sh", "-c", "cat /tmp/health && echo probe >> /tmp/probes"]
    probe = {"exec": {"command": command}, **PATIENT}
    ns.pod("touch /tmp/health; sleep 1000", container={"livenessProbe": probe}, restartPolicy="Always")
    ns.until_ready("pod")
    until(lambda: ns.exec("pod", "cat /tmp/probes").count("probe") >= 2, "two probes")
    still_first(ns)


@conforms("[sig-node] Probing container should be restarted with a /healthz http liveness probe [NodeConformance]")
def test_http_fails(ns):
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, **QUICK, "initialDelaySeconds": 1}
    ns.pod(f"(sleep 2; rm /www/healthz) & {HEALTHZ}", container={"livenessProbe": probe}, restartPolicy="Always")
    until_restarted(ns)
    until_unhealthy(ns, "HTTP probe failed with statuscode: 404")


@conforms("[sig-node] Probing container should *not* be restarted with a /healthz http liveness probe [NodeConformance]")
def test_http_holds(ns):
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, **PATIENT, "initialDelaySeconds": 1}
    ns.pod(HEALTHZ, container={"livenessProbe": probe}, restartPolicy="Always")
    until(lambda: ns.log("pod").count("url:/healthz") >= 2, "two probes")
    still_first(ns)


@conforms("[sig-node] Probing container should *not* be restarted with a tcp:8080 liveness probe [NodeConformance]")
def test_tcp_holds(ns):
    probe = {"tcpSocket": {"port": 8080}, **PATIENT, "initialDelaySeconds": 1}
    ns.pod("nc -ll -p 8080 -e sh -c 'echo probe >> /tmp/probes'", container={"livenessProbe": probe}, restartPolicy="Always")
    ns.until_ready("pod")
    until(lambda: ns.exec("pod", "cat /tmp/probes").count("probe") >= 2, "two probes")
    still_first(ns)


@conforms("[sig-node] Probing container should have monotonically increasing restart count [NodeConformance]")
def test_restart_count(ns):
    probe = {"exec": {"command": ["false"]}, **QUICK}
    before = ns.get("pods")["metadata"]["resourceVersion"]
    ns.pod("sleep 1000", container={"livenessProbe": probe}, restartPolicy="Always")

    def count(pod):
        return (pod["status"].get("containerStatuses") or [{"restartCount": 0}])[0]["restartCount"]

    events = ns.cluster.watch(ns.path("pods"), lambda it: count(it[-1][1]) == 2, resourceVersion=before)
    counts = [count(pod) for _, pod in events]
    assert counts == sorted(counts) and set(counts) == {0, 1, 2}


@conforms("[sig-node] Probing container with readiness probe should not be ready before initial delay and never restart [NodeConformance]")
def test_initial_delay(ns):
    probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 2, "periodSeconds": 1}
    ns.pod("sleep 1000", container={"readinessProbe": probe}, restartPolicy="Always")
    pod = ns.until_ready("pod")
    container = pod["status"]["containerStatuses"][0]
    ready = next(it for it in pod["status"]["conditions"] if it["type"] == "Ready")
    times = container["state"]["running"]["startedAt"], ready["lastTransitionTime"]
    began, became = map(datetime.datetime.fromisoformat, times)
    assert (became - began).total_seconds() >= 2
    assert container["restartCount"] == 0


@conforms("[sig-node] Probing container with readiness probe that fails should never be ready and never restart [NodeConformance]")
def test_never_ready(ns):
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    before = ns.get("pods")["metadata"]["resourceVersion"]
    ns.pod("sleep 1000", container={"readinessProbe": probe}, restartPolicy="Always")

    def probed():
        warnings = ns.get("events?fieldSelector=reason=Unhealthy")["items"]
        return sum(it["count"] for it in warnings if it["message"].startswith("Readiness probe failed")) >= 2

    until(probed, "two probes")
    it = status(ns)
    assert it["restartCount"] == 0 and not it["ready"] and "running" in it["state"]
    ns.cluster.delete(ns.path("pods/pod")).ok()
    events = ns.cluster.watch(ns.path("pods"), lambda it: it[-1][0] == "DELETED", resourceVersion=before)
    assert not any(it["ready"] for _, pod in events for it in pod["status"].get("containerStatuses", []))


class Health:
    """The gRPC health service, as much of HTTP/2 as a probe needs. It serves while `serves` is true."""

    def __init__(self, address):
        self.serves, self.asked = True, 0
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[connection], daemon=True).start()

    def answer(self, connection):
        DATA, HEADERS, SETTINGS = 0, 1, 4
        END_STREAM, END_HEADERS, ACK = 1, 4, 1

        def send(kind, flags, stream, data=b""):
            connection.sendall(struct.pack(">I", len(data))[1:] + struct.pack(">BBI", kind, flags, stream) + data)

        def header(name, value):
            return b"\0" + b"".join(bytes([len(it)]) + it for it in (name, value))

        with connection, connection.makefile("rb") as reader:
            reader.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            send(SETTINGS, 0, 0)
            while len(head := reader.read(9)) == 9:
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                reader.read(int.from_bytes(head[:3], "big"))
                if kind == SETTINGS and not flags & ACK:
                    send(SETTINGS, ACK, 0)
                if kind in (DATA, HEADERS) and flags & END_STREAM:
                    self.asked += 1
                    message = b"\x08\x01" if self.serves else b"\x08\x02"
                    # 0x88 is `:status: 200`
                    send(HEADERS, END_HEADERS, stream, b"\x88" + header(b"content-type", b"application/grpc"))
                    send(DATA, 0, stream, struct.pack(">BI", 0, len(message)) + message)
                    send(HEADERS, END_HEADERS | END_STREAM, stream, header(b"grpc-status", b"0"))


@pytest.fixture
def health(ns):
    """A pod in the machine's network is where the machine is, and its probe meets this server."""
    node = ns.cluster.get("/api/v1/nodes").ok()["items"][0]
    address = next(it["address"] for it in node["status"]["addresses"] if it["type"] == "InternalIP")
    server = Health(address)
    probe = {"grpc": {"port": server.port}, **QUICK}
    ns.pod("sleep 1000", container={"livenessProbe": probe}, restartPolicy="Always", hostNetwork=True)
    ns.until_ready("pod")
    until(lambda: server.asked >= 2, "two probes")
    yield server
    server.listener.close()


@conforms("[sig-node] Probing container should *not* be restarted with a GRPC liveness probe [NodeConformance]")
def test_grpc_holds(ns, health):
    still_first(ns)


@conforms("[sig-node] Probing container should be restarted with a GRPC liveness probe [NodeConformance]")
def test_grpc_fails(ns, health):
    still_first(ns)
    health.serves = False
    until_restarted(ns)

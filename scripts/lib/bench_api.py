#!/usr/bin/env python3
"""Measures the API server alone, with nothing but Python's standard library and openssl's program.

usage: bench_api.py KUBECONFIG

Prints one JSON object: gets a second; lists a second of 1,000 objects as JSON and as protobuf; how long an event takes to reach the
last of 1,000 watchers while 100 are written a second, and how many come to them a second; seconds until 1,000 definitions of custom
resources are all served; creates a second without and with a validating webhook that is asked about each; creates a second of 10,000
pods, and lists a second of them all. It needs no node and no controller: an API server alone will do.
"""

import base64
import concurrent.futures
import http.server
import json
import multiprocessing
import os
import resource
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from bench_cluster import Api, pod

NAMESPACE = f"api-{os.getpid()}"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
GETS = 10000
LISTED, LISTS = 1000, 50
WATCHERS, EVENTS, A_SECOND = 1000, 500, 100
DEFINITIONS = 1000
CREATES = 2000
GATED, LISTS_OF_GATED = 10000, 20  # pods that wait at a scheduling gate: objects for the API server, and nothing else
PROTOBUF = "application/vnd.kubernetes.protobuf"
DEFINED = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def in_parallel(work, items, width=8):
    """Items a second."""
    items = list(items)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        for _ in pool.map(work, items):
            pass
    return len(items) / (time.monotonic() - began)


def config_map(name):
    return {"metadata": {"name": name}, "data": {"value": "x" * 900}}


def lists_a_second(api, media):
    headers = api.headers
    api.headers = headers | {"Accept": media}
    try:
        began = time.monotonic()
        for _ in range(LISTS):
            api.request("GET", MAPS)
        return LISTS / (time.monotonic() - began)
    finally:
        api.headers = headers


class Watcher:
    """Counts the events that come, and keeps nothing of them."""

    def __init__(self, api):
        raw = socket.create_connection((api.server.hostname, api.server.port))
        self.stream = api.tls.wrap_socket(raw, server_hostname=api.server.hostname)
        lines = [f"GET {MAPS}?watch=1&resourceVersion={api.revision} HTTP/1.1", f"Host: {api.server.netloc}"]
        lines += [f"{name}: {value}" for name, value in api.headers.items()]
        self.stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.stream.setblocking(False)
        self.events = 0

    def read(self):
        while True:
            try:
                part = self.stream.recv(1 << 18)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            if not part:
                raise SystemExit("a watch has ended")
            self.events += part.count(b'{"type"')


def write_events(kubeconfig, told):
    """In a process of its own, so that those who read do not hold it up."""
    api = Api(kubeconfig)
    began = time.monotonic()
    for number in range(EVENTS):
        time.sleep(max(0, began + number / A_SECOND - time.monotonic()))
        api.request("POST", MAPS, config_map(f"event-{number}"))
    told.put(time.monotonic())


def fan_out(api, kubeconfig):
    """Milliseconds from the last write until all have it, and events a second to all of them."""
    enough = WATCHERS + 64
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(enough, most) if most > 0 else enough, most))
    api.revision = json.loads(api.request("GET", f"{MAPS}?limit=1"))["metadata"]["resourceVersion"]
    watchers = [Watcher(api) for _ in range(WATCHERS)]
    ready = selectors.DefaultSelector()
    for watcher in watchers:
        ready.register(watcher.stream, selectors.EVENT_READ, watcher)
    told = multiprocessing.Queue()
    writer = multiprocessing.Process(target=write_events, args=(kubeconfig, told))
    began = time.monotonic()
    writer.start()
    while any(watcher.events < EVENTS for watcher in watchers):
        for key, _ in ready.select(60) or [(None, None)]:
            if key is None:
                raise SystemExit("not every watcher has heard of every event")
            key.data.read()
    ended = time.monotonic()
    last = told.get()
    writer.join()
    for watcher in watchers:
        watcher.stream.close()
    # a watcher may have an event before its writer has the answer
    return max(0, ended - last) * 1000, WATCHERS * EVENTS / (ended - began)


def definition(number):
    names = {"plural": f"things{number}", "singular": f"thing{number}", "kind": f"Thing{number}"}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "size": {"type": "integer"}, "names": {"type": "array", "items": {"type": "string"}}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    group = f"{NAMESPACE}.example.com"
    return {"metadata": {"name": f"things{number}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}}


def definitions_s(api):
    """Seconds from the first definition until the last can be listed."""
    began = time.monotonic()
    in_parallel(lambda number: api.request("POST", DEFINED, definition(number)), range(DEFINITIONS))
    for number in range(DEFINITIONS):
        path = f"/apis/{NAMESPACE}.example.com/v1/things{number}?limit=1"
        while b'"items"' not in api.request("GET", path):
            time.sleep(0.01)
    took = time.monotonic() - began
    in_parallel(lambda n: api.request("DELETE", f"{DEFINED}/things{n}.{NAMESPACE}.example.com"), range(DEFINITIONS))
    return took


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"kind": review["kind"], "apiVersion": review["apiVersion"],
                  "response": {"uid": review["request"]["uid"], "allowed": True}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_hook(certificate, told):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.request_queue_size = 64
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{certificate}/cert.pem", f"{certificate}/key.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    told.put(server.server_address[1])
    server.serve_forever()


def creates_a_second(api, word):
    return in_parallel(lambda n: api.request("POST", MAPS, config_map(f"{word}-{n}")), range(CREATES))


def with_webhook(api):
    with tempfile.TemporaryDirectory() as certificate:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", f"{certificate}/key.pem", "-out", f"{certificate}/cert.pem"],
            check=True, capture_output=True,
        )
        told = multiprocessing.Queue()
        server = multiprocessing.Process(target=serve_hook, args=(certificate, told), daemon=True)
        server.start()
        port = told.get()
        with open(f"{certificate}/cert.pem", "rb") as pem:
            bundle = base64.b64encode(pem.read()).decode()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    api.request("POST", HOOKS, {"metadata": {"name": NAMESPACE}, "webhooks": [{
        "name": "hook.example.com", "rules": [rule], "namespaceSelector": selector, "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": f"https://localhost:{port}/", "caBundle": bundle}}]})
    try:
        return creates_a_second(api, "asked")
    finally:
        api.request("DELETE", f"{HOOKS}/{NAMESPACE}")
        server.terminate()
        server.join()


def gated_pods(api):
    """Creates a second, and lists a second of them all. Without a volume for the token, which only some servers add."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    waiting = {"schedulingGates": [{"name": "example.com/never"}], "automountServiceAccountToken": False}
    # it is there already where there is a controller for it
    api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    creates = in_parallel(lambda n: api.request("POST", path, pod(f"gated-{n}", "none", **waiting)), range(GATED))
    began = time.monotonic()
    for _ in range(LISTS_OF_GATED):
        api.request("GET", path)
    return creates, LISTS_OF_GATED / (time.monotonic() - began)


def main():
    kubeconfig = sys.argv[1]
    api = Api(kubeconfig)
    measured = {}
    # the webhook's selector wants the label, which servers give since 1.21
    labels = {"kubernetes.io/metadata.name": NAMESPACE}
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
    try:
        api.request("POST", MAPS, config_map("one"))
        measured["gets_per_s"] = in_parallel(lambda _: api.request("GET", f"{MAPS}/one"), range(GETS))
        in_parallel(lambda n: api.request("POST", MAPS, config_map(f"listed-{n}")), range(LISTED))
        measured["lists_json_per_s"] = lists_a_second(api, "application/json")
        measured["lists_protobuf_per_s"] = lists_a_second(api, PROTOBUF)
        measured["last_watcher_ms"], measured["watched_per_s"] = fan_out(api, kubeconfig)
        measured["plain_creates_per_s"] = creates_a_second(api, "plain")
        measured["asked_creates_per_s"] = with_webhook(api)
        measured["creates_per_s"], measured["lists_per_s"] = gated_pods(api)
        # the last: upstream works on its OpenAPI for long after them
        measured["definitions_s"] = definitions_s(api)
    finally:
        api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()

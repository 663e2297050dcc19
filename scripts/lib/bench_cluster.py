#!/usr/bin/env python3
"""Measures a cluster over its API, with nothing but Python's standard library.

usage: bench_cluster.py KUBECONFIG IMAGE

Prints one JSON object: milliseconds from a pod's creation until a watch shows it Running (100 in sequence), seconds until
100 that are created at once are all Running, and seconds that workloads take: a Deployment of 200 and its update, a StatefulSet of
20, 1,000 Jobs, and the end of a namespace with 1,000 objects. What it makes is in namespaces of its own, which it deletes at the end.
"""

import base64
import concurrent.futures
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

NAMESPACE = f"bench-{os.getpid()}"
IN_SEQUENCE = 100
AT_ONCE = 100
REPLICAS = 200
SURGE = 50  # of its update: a quarter
ORDERED = 20
JOBS = 1000
OBJECTS = 1000
PATIENCE = 300  # seconds for one measurement


class Api:
    """One keep-alive connection a thread."""

    def __init__(self, kubeconfig):
        view = subprocess.run(
            ["kubectl", "--kubeconfig", kubeconfig, "config", "view", "--raw", "--minify", "-o", "json"],
            check=True, capture_output=True, text=True,
        )
        view = json.loads(view.stdout)
        cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
        self.server = urllib.parse.urlparse(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=authority)
        self.headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile("wb") as pem:
                pem.write(base64.b64decode(user["client-certificate-data"]))
                pem.write(base64.b64decode(user["client-key-data"]))
                pem.flush()
                self.tls.load_cert_chain(pem.name)
        else:
            self.headers["Authorization"] = "Bearer " + user["token"]
        self.local = threading.local()

    def connect(self):
        return http.client.HTTPSConnection(
            self.server.hostname, self.server.port, context=self.tls, timeout=PATIENCE
        )

    def request(self, method, path, body=None):
        kept = getattr(self.local, "connection", None)
        try:
            answer = self.ask(kept or self.connect(), method, path, body)
        except ConnectionError:
            # servers close a connection that was silent for long
            if not kept:
                raise
            answer = self.ask(self.connect(), method, path, body)
        content = answer.read()
        if answer.status >= 300 and answer.status not in (404, 409):
            raise SystemExit(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
        return content

    def ask(self, connection, method, path, body):
        self.local.connection = connection
        connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        return connection.getresponse()

    def watch(self, path):
        """The lines of a watch, as they come."""
        connection = self.connect()
        connection.request("GET", path + ("&" if "?" in path else "?") + "watch=1", headers=self.headers)
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)


def pod(name, image, **spec):
    return {
        "metadata": {"name": name, "labels": {"bench": "yes"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": image, "imagePullPolicy": "IfNotPresent"}],
            **spec,
        },
    }


class Running:
    """When each pod was first seen Running."""

    def __init__(self, api):
        self.seen, self.changed = {}, threading.Condition()
        threading.Thread(target=self.follow, args=(api,), daemon=True).start()

    def follow(self, api):
        for event in api.watch(f"/api/v1/namespaces/{NAMESPACE}/pods"):
            if event["object"].get("status", {}).get("phase") == "Running":
                with self.changed:
                    self.seen.setdefault(event["object"]["metadata"]["name"], time.monotonic())
                    self.changed.notify_all()

    def wait(self, names):
        with self.changed:
            if not self.changed.wait_for(lambda: all(name in self.seen for name in names), PATIENCE):
                raise SystemExit(f"not all of {len(names)} pods were Running within {PATIENCE} s")
            return max(self.seen[name] for name in names)


def delete_pods(api):
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    api.request("DELETE", pods, {"gracePeriodSeconds": 0})
    deadline = time.monotonic() + PATIENCE
    while json.loads(api.request("GET", pods + "?limit=1"))["items"]:
        if time.monotonic() > deadline:
            raise SystemExit("the pods do not go away")
        time.sleep(0.05)


def in_sequence(api, running, image):
    took = []
    for number in range(IN_SEQUENCE + 1):
        name = f"one-{number}"
        began = time.monotonic()
        api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", pod(name, image))
        took.append((running.wait([name]) - began) * 1000)
        api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {"gracePeriodSeconds": 0})
    took = sorted(took[1:])  # the first one may have fetched the image
    return took[len(took) // 2], took[int(len(took) * 0.99) - 1]


def at_once(api, running, image):
    names = [f"many-{number}" for number in range(AT_ONCE)]
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: api.request("POST", path, pod(name, image)), names))
    return running.wait(names) - began


def template(image, **container):
    spec = pod("", image)["spec"]
    spec["containers"][0].update(container)
    return {"metadata": {"labels": {"bench": "workload"}}, "spec": spec}


def until(api, path, enough):
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = json.loads(api.request("GET", path))
        if enough(seen):
            return seen
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} does not become what it should: {json.dumps(seen.get('status'))}")
        time.sleep(0.02)


def need_places(api):
    """Ends where the cluster's nodes do not take all pods of the update: it would wait for them in vain."""
    nodes = json.loads(api.request("GET", "/api/v1/nodes"))["items"]
    places = sum(int(node["status"]["allocatable"]["pods"]) for node in nodes)
    if places < REPLICAS + SURGE:
        raise SystemExit(f"the nodes take {places} pods, and {REPLICAS + SURGE} are needed: see the kubelet's --max-pods")


def workloads(api, image):
    """Seconds: a Deployment to ready, its rolling update, a StatefulSet one after the other, Jobs to their end."""
    apps = f"/apis/apps/v1/namespaces/{NAMESPACE}"
    selector = {"matchLabels": {"bench": "workload"}}

    def ready(count):
        return lambda it: it.get("status", {}).get("readyReplicas") == count

    spec = {"replicas": REPLICAS, "selector": selector, "template": template(image)}
    began = time.monotonic()
    api.request("POST", f"{apps}/deployments", {"metadata": {"name": "many"}, "spec": spec})
    until(api, f"{apps}/deployments/many", ready(REPLICAS))
    made, began = time.monotonic() - began, time.monotonic()
    spec["template"]["metadata"]["annotations"] = {"bench": "again"}
    api.request("PUT", f"{apps}/deployments/many", {"metadata": {"name": "many"}, "spec": spec})

    def updated(it):
        status = it.get("status", {})
        counts = [status.get(field) for field in ("updatedReplicas", "readyReplicas", "replicas")]
        return counts == [REPLICAS] * 3 and status.get("observedGeneration") == it["metadata"]["generation"]

    until(api, f"{apps}/deployments/many", updated)
    rolled = time.monotonic() - began
    api.request("DELETE", f"{apps}/deployments/many", {"propagationPolicy": "Foreground"})
    until(api, f"/api/v1/namespaces/{NAMESPACE}/pods?limit=1", lambda it: not it["items"])
    spec = {"replicas": ORDERED, "serviceName": "none", "selector": selector, "template": template(image)}
    began = time.monotonic()
    api.request("POST", f"{apps}/statefulsets", {"metadata": {"name": "ordered"}, "spec": spec})
    until(api, f"{apps}/statefulsets/ordered", ready(ORDERED))
    ordered = time.monotonic() - began
    api.request("DELETE", f"{apps}/statefulsets/ordered", {"propagationPolicy": "Foreground"})
    until(api, f"/api/v1/namespaces/{NAMESPACE}/pods?limit=1", lambda it: not it["items"])
    jobs = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
    # a program that ends at once, whatever the image is for
    once = template(image, command=["/proc/self/exe", "--version"])
    once["spec"]["restartPolicy"] = "Never"
    bodies = [{"metadata": {"name": f"job-{n}"}, "spec": {"backoffLimit": 0, "template": once}} for n in range(JOBS)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda body: api.request("POST", jobs, body), bodies))

    def over(it):
        ended = [job for job in it["items"] if {c["type"] for c in job.get("status", {}).get("conditions", [])} & {"Complete", "Failed"}]
        return len(ended) == JOBS

    until(api, jobs, over)
    ran = time.monotonic() - began
    api.request("DELETE", jobs, {"propagationPolicy": "Background"})
    return made, rolled, ordered, ran


def namespace_s(api):
    """Until a namespace with many objects is gone."""
    name = f"{NAMESPACE}-full"
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    maps = f"/api/v1/namespaces/{name}/configmaps"
    bodies = [{"metadata": {"name": f"m-{n}"}, "data": {"k": "v"}} for n in range(OBJECTS)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda body: api.request("POST", maps, body), bodies))
    began = time.monotonic()
    api.request("DELETE", f"/api/v1/namespaces/{name}")
    until(api, f"/api/v1/namespaces/{name}", lambda it: it.get("code") == 404)
    return time.monotonic() - began


def main():
    kubeconfig, image = sys.argv[1:]
    api = Api(kubeconfig)
    need_places(api)
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        while b'"ServiceAccount"' not in api.request("GET", account):
            time.sleep(0.02)
        running = Running(api)
        median, last = in_sequence(api, running, image)
        delete_pods(api)
        together = at_once(api, running, image)
        delete_pods(api)
        made, rolled, ordered, ran = workloads(api, image)
        delete_pods(api)
        emptied = namespace_s(api)
    finally:
        api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    print(json.dumps({
        "pod_p50_ms": median, "pod_p99_ms": last, "pods_at_once_s": together,
        "deployment_s": made, "rolling_update_s": rolled, "stateful_set_s": ordered, "jobs_s": ran, "namespace_s": emptied,
    }))


if __name__ == "__main__":
    main()

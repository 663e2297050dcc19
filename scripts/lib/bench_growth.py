#!/usr/bin/env python3
"""Measures what must not grow with the number of objects, and what must be given back when they are gone.

usage: bench_growth.py KUBECONFIG [PID]

Prints one JSON object: pages of one object a second with a hundred objects and with many, seconds for a whole list of the many in
pages; with the PID of the server also its memory that is not from files, before the many came, for each of them, right after they
went, and when nobody can have missed them any more (the server holds events and pages of lists for five minutes).
"""

import concurrent.futures
import json
import os
import sys
import time

from bench_cluster import Api

NAMESPACE = f"growth-{os.getpid()}"
FEW, MANY = 100, 20000
PAGES = 300
QUIET = 8  # seconds: what was freed has gone back to the kernel
HELD = 5 * 60 + QUIET


def config_maps(api, first, last):
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    bodies = ({"metadata": {"name": f"m{n:06}"}, "data": {"value": "x" * 900}} for n in range(first, last))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in pool.map(lambda body: api.request("POST", path, body), bodies):
            pass


def pages_a_second(api):
    began = time.monotonic()
    for _ in range(PAGES):
        api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps?limit=1")
    return PAGES / (time.monotonic() - began)


def whole_list(api):
    """Seconds for all pages of 500, as kubectl asks for them."""
    path, token, began = f"/api/v1/namespaces/{NAMESPACE}/configmaps?limit=500", "", time.monotonic()
    while True:
        page = json.loads(api.request("GET", path + (f"&continue={token}" if token else "")))
        token = page["metadata"].get("continue")
        if not token:
            return time.monotonic() - began


def anonymous(pid):
    """MB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))


def main():
    api = Api(sys.argv[1])
    pid = sys.argv[2] if len(sys.argv) > 2 else None
    measured = {}
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        config_maps(api, 0, FEW)
        measured["page_of_few"] = pages_a_second(api)
        time.sleep(QUIET)
        if pid:
            measured["memory_before"] = anonymous(pid)
        config_maps(api, FEW, MANY)
        measured["page_of_many"] = pages_a_second(api)
        measured["whole_list_s"] = whole_list(api)
        if pid:
            time.sleep(QUIET)
            grown = anonymous(pid) - measured["memory_before"]
            measured["bytes_per_object"] = grown * (1 << 20) / (MANY - FEW)
        api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/configmaps")
        if pid:
            time.sleep(QUIET)
            measured["memory_after"] = anonymous(pid)
            time.sleep(HELD)
            measured["memory_later"] = anonymous(pid)
    finally:
        # the server has closed a connection that was silent for so long
        Api(sys.argv[1]).request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    print(json.dumps(measured))


main()

#!/usr/bin/env python3
"""Measures what must not grow with the number of objects, and what must be given back when they are gone.

usage: bench_growth.py KUBECONFIG [PID...]

Prints one JSON object: pages of one object a second with a hundred objects and with many, seconds for a whole list of the many in
pages; with the PIDs of the server (and of its store, where that is another program) also the memory that is not from files, before
the many came, for each of them, right after they went, and when nobody can have missed them any more (the server holds events and
pages of lists for five minutes).
"""

import json
import os
import sys
import time

from bench_api import in_parallel
from bench_cluster import Api

NAMESPACE = f"growth-{os.getpid()}"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
FEW, MANY = 100, 20000
PAGES = 300
WIDTH = 16  # requests at a time
QUIET = 8  # seconds: what was freed has gone back to the kernel
HELD = 5 * 60 + QUIET


def create(api, first, last):
    def one(number):
        api.request("POST", MAPS, {"metadata": {"name": f"m{number:06}"}, "data": {"value": "x" * 900}})

    in_parallel(one, range(first, last), WIDTH)


def pages_a_second(api):
    began = time.monotonic()
    for _ in range(PAGES):
        api.request("GET", f"{MAPS}?limit=1")
    return PAGES / (time.monotonic() - began)


def whole_list(api):
    """Seconds for all pages of 500, as kubectl asks for them."""
    path, token, began = f"{MAPS}?limit=500", "", time.monotonic()
    while True:
        page = json.loads(api.request("GET", path + (f"&continue={token}" if token else "")))
        token = page["metadata"].get("continue")
        if not token:
            return time.monotonic() - began


def anonymous(pids):
    """MB of them all."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as status:
            total += next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    return total / 1024


def main():
    api = Api(sys.argv[1])
    pids = sys.argv[2:]
    measured = {}
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        create(api, 0, FEW)
        measured["pages_of_few_per_s"] = pages_a_second(api)
        time.sleep(QUIET)
        if pids:
            measured["memory_before"] = anonymous(pids)
        create(api, FEW, MANY)
        measured["pages_of_many_per_s"] = pages_a_second(api)
        measured["whole_list_s"] = whole_list(api)
        if pids:
            time.sleep(QUIET)
            grown = anonymous(pids) - measured["memory_before"]
            measured["bytes_per_object"] = grown * (1 << 20) / (MANY - FEW)
        # one by one: upstream gives a request half a minute, which is too little for all at once
        in_parallel(lambda number: api.request("DELETE", f"{MAPS}/m{number:06}"), range(MANY), WIDTH)
        if pids:
            time.sleep(QUIET)
            measured["memory_after"] = anonymous(pids)
            time.sleep(HELD)
            measured["memory_later"] = anonymous(pids)
    finally:
        api.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    print(json.dumps(measured))


main()

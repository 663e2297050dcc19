"""How soon a Service has endpoints."""

import threading
import time

from support import PATIENCE, conforms, server


@conforms("[sig-network] Service endpoints latency should not be very high")
def test_latency(ns, cluster):
    labels = {"app": "web"}
    ns.until_ready(server(ns, "web", metadata={"labels": labels}))
    names = [f"web-{it}" for it in range(50)]
    made, seen = {}, {}

    def note(events):
        _, shown = events[-1]
        if shown.get("subsets"):
            seen.setdefault(shown["metadata"]["name"], time.monotonic())
        return len(seen) == len(names)

    at = ns.get("endpoints")["metadata"]["resourceVersion"]
    watching = threading.Thread(target=cluster.watch, args=(ns.path("endpoints"), note), kwargs={"resourceVersion": at}, daemon=True)
    watching.start()
    for called in names:
        made[called] = time.monotonic()
        ns.create("services", {"metadata": {"name": called}, "spec": {"selector": labels, "ports": [{"port": 80}]}})
    watching.join(PATIENCE)
    assert not watching.is_alive(), f"without endpoints: {sorted(set(names) - set(seen))}"
    waits = sorted(seen[called] - made[called] for called in names)
    # what upstream allows: half of them, and the last
    assert waits[len(waits) // 2] < 20 and waits[-1] < 50, waits

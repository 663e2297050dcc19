"""kubectl logs."""

import re

from support import conforms, until


@conforms("[sig-cli] Kubectl logs logs should be able to retrieve and filter logs")
def test_filters(ns, cluster):
    count = "for i in $(seq 100); do echo \"line $i\"; done; sleep 2; echo late; sleep 100000"
    cluster.kubectl("--namespace", ns.name, "run", "web", "--image=busybox:1", "--restart=Never", "--command", "--", "sh", "-c", count)
    ns.until_phase("web", "Running")

    def logs(*arguments):
        return cluster.kubectl("--namespace", ns.name, "logs", "web", *arguments)

    until(lambda: "late" in logs(), "the last line")
    assert logs().splitlines() == [*(f"line {it}" for it in range(1, 101)), "late"]
    assert logs("web") == logs(), "the container may be named"
    assert logs("--tail=1") == "late\n" and len(logs("--tail=5").splitlines()) == 5
    assert logs("--limit-bytes=1") == "l"
    stamped = logs("--tail=1", "--timestamps")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) late\n", stamped), stamped
    assert len(logs("--since=24h").splitlines()) == 101
    recent = logs("--since=1s")
    assert recent in ("late\n", "")
    assert recent or "late" in logs("--since=5m")
    first = logs("--timestamps").split()[0]
    assert len(logs(f"--since-time={first}").splitlines()) >= 100
    cluster.kubectl("--namespace", ns.name, "delete", "pod", "web", "--now")

"""Kernel parameters of pods."""

from support import BUSYBOX, conforms


@conforms("[sig-node] Sysctls [LinuxOnly] [NodeConformance] should support sysctls [Environment:NotInUserNS]")
def test_safe(ns):
    context = {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
    assert ns.output("cat /proc/sys/kernel/shm_rmid_forced", "plain") == "0\n"
    assert ns.output("cat /proc/sys/kernel/shm_rmid_forced", securityContext=context) == "1\n"


@conforms("[sig-node] Sysctls [LinuxOnly] [NodeConformance] should reject invalid sysctls")
def test_invalid(ns):
    names = ["foo-", "kernel.shmmax", "safe.sysctl", "bar.."]
    context = {"sysctls": [{"name": it, "value": "42"} for it in names]}
    spec = {"securityContext": context, "containers": [{"name": "main", "image": BUSYBOX}]}
    answer = ns.cluster.post(ns.path("pods"), {"metadata": {"name": "pod"}, "spec": spec})
    answer.refused(422, r'Invalid value: \"foo-\"', r'Invalid value: \"bar..\"', "spec.securityContext.sysctls[0].name")
    assert "kernel.shmmax" not in answer.text and "safe.sysctl" not in answer.text

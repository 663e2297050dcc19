"""Users and groups of pods and of their containers."""

import pytest
from support import conforms


@pytest.mark.parametrize(
    ("pod", "container", "printed"),
    [
        pytest.param(
            {"runAsUser": 1001, "runAsGroup": 2002}, {}, "uid=1001 gid=2002 groups=2002\n",
            marks=conforms("[sig-node] Security Context should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup [LinuxOnly]"),
        ),
        pytest.param(
            {"runAsUser": 1, "runAsGroup": 2}, {"runAsUser": 1001, "runAsGroup": 2002}, "uid=1001 gid=2002 groups=2002\n",
            marks=conforms("[sig-node] Security Context should support container.SecurityContext.RunAsUser And container.SecurityContext.RunAsGroup [LinuxOnly]"),
        ),
    ],
)
def test_user_and_group(ns, pod, container, printed):
    assert ns.output("id", container={"securityContext": container}, securityContext=pod) == printed

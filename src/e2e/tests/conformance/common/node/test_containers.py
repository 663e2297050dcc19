"""An image's own entry point and arguments, and what a container has instead."""

import pytest
from registry import Registry
from support import conforms


@pytest.fixture(scope="module")
def image():
    """Prints what it was started as."""
    registry = Registry()
    files = {"bin/sh": None, "say": '#!/bin/sh\necho "$0 $*"\n', "other": '#!/bin/sh\necho "$0 $*"\n'}
    yield registry.put("say", files, Entrypoint=["/say", "entry"], Cmd=["default", "arguments"], Env=["PATH=/bin"])
    registry.server.shutdown()


@pytest.mark.parametrize(
    ("container", "printed"),
    [
        pytest.param(
            {}, "/say entry default arguments\n",
            marks=conforms("[sig-node] Containers should use the image defaults if command and args are blank [NodeConformance]"),
        ),
        pytest.param(
            {"args": ["override", "them"]}, "/say entry override them\n",
            marks=conforms("[sig-node] Containers should be able to override the image's default arguments (container cmd) [NodeConformance]"),
        ),
        pytest.param(
            {"command": ["/other"]}, "/other \n",
            marks=conforms("[sig-node] Containers should be able to override the image's default command (container entrypoint) [NodeConformance]"),
        ),
        pytest.param(
            {"command": ["/other", "one"], "args": ["two"]}, "/other one two\n",
            marks=conforms("[sig-node] Containers should be able to override the image's default command and arguments [NodeConformance]"),
        ),
    ],
)
def test_overrides(ns, image, container, printed):
    assert ns.output(container={"image": image, **container}) == printed

import os
from pathlib import Path

import pytest
from support import Cluster, Namespace, name

# a file for the lines whose cases passed, one on each line
SHOWN = "MONOPOD_CONFORMANCE_SHOWN"
passed = set()


def pytest_itemcollected(item):
    item.user_properties += [("conforms", mark.args[0]) for mark in item.iter_markers("conforms")]


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        passed.update(line for name, line in report.user_properties if name == "conforms")


def pytest_sessionfinish(session):
    # what the workers report comes to the one that began them
    if SHOWN in os.environ and not hasattr(session.config, "workerinput"):
        Path(os.environ[SHOWN]).write_text("".join(f"{line}\n" for line in sorted(passed)))


@pytest.fixture(scope="session")
def cluster():
    return Cluster()


@pytest.fixture
def ns(cluster):
    """A namespace for one case, which is deleted after it; nobody waits for that."""
    namespace = Namespace(cluster, name("case"))
    yield namespace
    cluster.delete(f"/api/v1/namespaces/{namespace.name}")


@pytest.fixture
def make_ns(cluster):
    """More namespaces: `make_ns(labels={...})`."""
    made = []

    def make(labels=None):
        made.append(Namespace(cluster, name("case"), labels))
        return made[-1]

    yield make
    for namespace in made:
        cluster.delete(f"/api/v1/namespaces/{namespace.name}")

import pytest
from support import Cluster, Namespace, name


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

"""Lists in parts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support import BUSYBOX, conforms


@pytest.fixture
def templates(cluster, ns):
    """Makes so many pod templates; gives their path and their names."""

    def make(count):
        names = [f"t{number:03}" for number in range(count)]
        spec = {"containers": [{"name": "main", "image": BUSYBOX}]}

        def create(named):
            cluster.post(ns.path("podtemplates"), {"metadata": {"name": named}, "template": {"spec": spec}}).ok()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(create, names))
        return ns.path("podtemplates"), names

    return make


def named(listed):
    return [it["metadata"]["name"] for it in listed["items"]]


@conforms("[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls")
def test_chunks(cluster, templates):
    path, names = templates(400)
    assert "continue" not in (whole := cluster.get(path).ok())["metadata"]
    assert named(whole) == names
    for limit in (17, 399, 400):
        seen, at, token = [], None, ""
        while True:
            chunk = cluster.get(f"{path}?limit={limit}&continue={token}").ok()
            meta = chunk["metadata"]
            assert 0 < len(chunk["items"]) <= limit
            seen += named(chunk)
            assert at in (None, meta["resourceVersion"])
            at = meta["resourceVersion"]
            assert meta.get("remainingItemCount", 0) == len(names) - len(seen)
            token = meta.get("continue")
            if not token:
                break
            assert len(chunk["items"]) == limit
        assert seen == names


@conforms(
    "[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent [Slow]"
)
def test_expired(cluster, ns, templates):
    path, names = templates(12)
    first = cluster.get(f"{path}?limit=4").ok()
    assert named(first) == names[:4]
    token = first["metadata"]["continue"]
    # in five minutes it is too old in any case; other lists at other revisions push it out sooner, where more has happened since than is held
    # (8 MiB)
    for number in range(60):
        change = {"labels": {"number": str(number)}, "annotations": {"filler": "x" * 200_000}}
        cluster.patch(f"{path}/{names[0]}", {"metadata": change}).ok()
        cluster.get(f"{path}?limit=1").ok()
    answer = cluster.get(f"{path}?limit=4&continue={token}")
    cluster.delete(f"{path}/{names[-1]}").ok()
    status = answer.refused(410, "Expired", "The provided continue parameter is too old", "inconsistent list")
    token = status["metadata"]["continue"]
    rest = cluster.get(f"{path}?limit=4&continue={token}").ok()
    assert named(rest) == names[4:8]
    assert rest["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    last = cluster.get(f"{path}?limit=4&continue={rest['metadata']['continue']}").ok()
    assert named(last) == names[8:11] and "continue" not in last["metadata"]

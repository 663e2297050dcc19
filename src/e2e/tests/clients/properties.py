"""Sends what the cluster's own OpenAPI documents describe, and what they nearly describe, and holds each answer against them.

Nothing is asked of an answer that upstream's own server would not keep:
- The documents declare 401 and no other refusal, as upstream's do: of a refusal only its form is looked at, which is a Status.
- What is deleted and lives on, for a finalizer, is answered with the object, and a deleted collection with its list; upstream declares
  a Status for both.
- A watch is declared as a list. None is begun.
- What is connected to (exec, proxy, logs) has no schema.
- A schema is a promise about answers only: rules that it does not hold (names, CEL, what may change) refuse what it allows.

Arguments: how many cases for each operation, for how many seconds at most, and a seed. The same seed makes the same cases.
"""

import base64
import contextlib
import copy
import json
import os
import random
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import hypothesis
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

NAMESPACE = "properties"
NAMES = ["one", "two", "three"]
# objects that upstream takes, of every kind: what is drawn from a schema alone hardly ever gets past the first rules
VALID = Path(__file__).parents[3] / "kinds/tests/golden/valid.jsonl"
# how often a case is made of these, and of the names above
GOOD = 0.7
# what a field is set to: of the wrong type, too small, too large, too long
ODD = [None, {}, [], "", [None], 0, -1, 2**31, 2**63, 1.5, True, "x" * 300, "ünï çødé", "a/b", {"a": {"b": []}}]
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"


class TimeIsUp(BaseException):
    """Nobody on the way takes it for a fault of an answer; some libraries make something else of it."""

    has_come = False


def stop(*_):
    TimeIsUp.has_come = True
    raise TimeIsUp


def api_version_of(kind):
    return f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]


def valid():
    """The objects of each kind, by `apiVersion` and `kind`."""
    kinds = {}
    for line in VALID.read_text().splitlines():
        given = json.loads(line)["object"]
        kinds.setdefault((given["apiVersion"], given["kind"]), []).append(given)
    return kinds


class Cluster:
    """Requests as the user of the kubeconfig, over connections that stay open."""

    def __init__(self, files):
        with open(os.environ["KUBECONFIG"]) as file:
            config = yaml.safe_load(file)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

        def path(of, name):
            if name in of:
                return of[name]
            at = os.path.join(files, name)
            with open(at, "wb") as file:
                file.write(base64.b64decode(of[f"{name}-data"]))
            return at

        self.server = cluster["server"]
        self.session = requests.Session()
        # a machine may have authorities and proxies of its own
        self.session.trust_env = False
        self.session.verify = path(cluster, "certificate-authority")
        self.session.cert = (path(user, "client-certificate"), path(user, "client-key"))

    def get(self, path):
        answer = self.session.get(self.server + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def documents(self):
        """The path and the document of each group and version."""
        for path, where in sorted(self.get("/openapi/v3")["paths"].items()):
            yield path, self.get(where["serverRelativeURL"])


def populate(cluster, operations, kinds):
    """One object of each kind that lives in the namespace, so that there is something to be changed."""
    for operation in operations:
        kind = operation.definition.raw["x-kubernetes-group-version-kind"]
        known = kinds.get((api_version_of(kind), kind["kind"]))
        if known and operation.method == "post" and operation.path.count("{") == operation.path.count("{namespace}/") == 1:
            at = cluster.server + operation.path.format(namespace=NAMESPACE)
            cluster.session.post(at, json={**known[0], "metadata": {"name": NAMES[0]}}, timeout=30)


def is_left_out(operation):
    """What is no request for objects, or would take the cluster apart."""
    return operation.definition.raw.get("x-kubernetes-action") == "connect" or operation.path.endswith("/log")


def places(value, at=()):
    """The path of each value within, from the outermost on."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def subtree(value, at):
    for key in at:
        value = value[key]
    return value


def changed(value, drawn, dice):
    """With one value within, or two, become another: an odd one, or one of those that were drawn from the schema."""
    value = copy.deepcopy(value)
    for _ in range(dice.choice([0, 1, 1, 2])):
        *before, last = dice.choice(list(places(value))[1:] or [("spec",)])
        other = subtree(drawn, dice.choice(list(places(drawn)))) if dice.random() < 0.5 else dice.choice(ODD)
        subtree(value, before)[last] = copy.deepcopy(other)
    return value


def body_of(operation, case, kind, kinds, dice):
    """Made of a valid object, in the form that the method takes."""
    api_version = api_version_of(kind)
    known = kinds.get((api_version, kind["kind"]), [{}])
    drawn = case.body if isinstance(case.body, (dict, list)) else {}
    value = changed({**dice.choice(known), "metadata": {"labels": {"a": "b"}}}, drawn, dice)
    if not isinstance(value.get("metadata"), dict):
        value["metadata"] = {}
    value |= {"apiVersion": api_version, "kind": kind["kind"]}
    value["metadata"]["name"] = (case.path_parameters or {}).get("name", dice.choice(NAMES))
    if case.media_type == "application/json-patch+json":
        at = dice.choice(list(places(value)))
        pointer = "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in at)
        op = dice.choice(["add", "remove", "replace", "test", "copy", "move"])
        return [{"op": op, "path": pointer, "value": subtree(value, at), "from": dice.choice(["/metadata", "/spec", pointer])}]
    return value


def fit(operation, case, kinds, dice):
    """Makes a case one that gets further than its names."""
    kind = operation.definition.raw["x-kubernetes-group-version-kind"]
    # a watch goes on for as long as it likes
    query = {key: value for key, value in (case.query or {}).items() if key != "watch"}
    if dice.random() < GOOD:
        query = {"fieldManager": "properties"} if operation.method == "patch" else {}
    if case.media_type == "application/apply-patch+yaml" and dice.random() < GOOD:
        query["force"] = "true"
    if "namespace" not in (case.path_parameters or {}) and operation.method != "get":
        # the objects of the cluster are what this test stands on
        query["dryRun"] = "All"
    case.query = query
    for name, good in (("namespace", [NAMESPACE]), ("name", NAMES)):
        if name in (case.path_parameters or {}) and dice.random() < GOOD:
            case.path_parameters[name] = dice.choice(good)
    if case.path_parameters.get("namespace", NAMESPACE) != NAMESPACE:
        case.query["dryRun"] = "All"
    if operation.method in ("patch", "post", "put") and dice.random() < GOOD:
        case.body = body_of(operation, case, kind, kinds, dice)


@schemathesis.serializer(
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
def patch(_, value):
    # JSON is YAML
    return json.dumps(value).encode()


def is_declared_wrongly(operation, response):
    """Where upstream's documents say Status and its server shows objects."""
    declared = operation.definition.raw["responses"].get("200", {}).get("content", {}).get("application/json", {})
    return operation.method == "delete" and declared.get("schema", {}).get("$ref", "").endswith(STATUS) and response.json().get("kind") != "Status"


def judge(operation, case, response):
    """Fails where the answer is none that the document, or upstream's manner, allows."""
    if response.status_code >= 400:
        case.validate_response(response, checks=[not_a_server_error])
        kind = response.headers.get("content-type")
        assert kind == ["application/json"], f"a refusal as {kind}: {response.text[:500]}"
        status = response.json()
        told = (status.get("kind"), status.get("apiVersion"), status.get("status"), status.get("code"))
        assert told == ("Status", "v1", "Failure", response.status_code), response.text[:500]
        assert status.get("message"), response.text[:500]
        return
    checks = [not_a_server_error, status_code_conformance, content_type_conformance]
    if not is_declared_wrongly(operation, response):
        checks.append(response_schema_conformance)
    case.validate_response(response, checks=checks)


def attempt(cluster, operation, mode, kinds, cases, seed, counts):
    """Sends cases of one operation, and returns what is wrong with the first bad answer."""
    settings = hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )

    @hypothesis.seed(seed)
    @settings
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), number=strategies.integers(0, 2**32))
    def send(case, number):
        fit(operation, case, kinds, random.Random(number))
        response = case.call(base_url=cluster.server, session=cluster.session, verify=cluster.session.verify, timeout=30)
        counts[response.status_code] = counts.get(response.status_code, 0) + 1
        judge(operation, case, response)

    try:
        send()
    except FailureGroup as error:
        return str(error)
    except hypothesis.errors.Unsatisfiable:
        # there is no wrong value of it
        return None
    except (AssertionError, requests.RequestException) as error:
        return f"{error}\n" + "\n".join(getattr(error, "__notes__", []))
    return None


def main(cases, seconds, seed, only=""):
    warnings.simplefilter("ignore")
    counts, faults = {}, []
    with tempfile.TemporaryDirectory() as files:
        cluster = Cluster(files)
        made = cluster.session.post(f"{cluster.server}/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}}, timeout=30)
        assert made.status_code == 201, made.text
        kinds = valid()
        # what would run waits instead: it is about answers
        for node in cluster.get("/api/v1/nodes")["items"]:
            at = f"{cluster.server}/api/v1/nodes/{node['metadata']['name']}"
            merge = {"Content-Type": "application/merge-patch+json"}
            cluster.session.patch(at, json={"spec": {"unschedulable": True}}, headers=merge, timeout=30).raise_for_status()
        operations = []
        for path, document in cluster.documents():
            if only in path:
                schema = schemathesis.openapi.from_dict(document)
                operations += [result.ok() for result in schema.get_all_operations()]
        operations = [operation for operation in operations if not is_left_out(operation)]
        populate(cluster, operations, kinds)
        # whichever the time allows: not always the same ones
        random.Random(seed).shuffle(operations)
        asked = 0
        # to draw a single case may take long too
        signal.signal(signal.SIGALRM, stop)
        signal.alarm(seconds)
        with contextlib.suppress(TimeIsUp), contextlib.redirect_stderr(sys.stdout):
            for operation in operations:
                asked += 1
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    fault = attempt(cluster, operation, mode, kinds, cases, seed, counts)
                    if TimeIsUp.has_come:
                        # of an answer that it came into nothing can be said
                        raise TimeIsUp
                    if fault:
                        faults.append(f"{operation.label}: {fault}")
        signal.alarm(0)
    print(f"{asked} of {len(operations)} operations, seed {seed}; answers: {dict(sorted(counts.items()))}")
    for fault in faults:
        print(f"\n{fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:4]), *sys.argv[4:]))

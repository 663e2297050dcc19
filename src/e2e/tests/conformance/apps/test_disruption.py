"""PodDisruptionBudgets: what they say of pods, and what they refuse."""

from support import conforms, edit, name, until

GROUP = "policy/v1"
LABELS = {"app": "web"}


def budget(ns, name_="budget", labels=None, **spec):
    metadata = {"name": name_, "labels": labels or {}}
    spec = {"selector": {"matchLabels": LABELS}, **spec}
    return ns.create("poddisruptionbudgets", {"metadata": metadata, "spec": spec}, GROUP)


def until_seen(ns, enough=lambda status: True, name_="budget"):
    """Waits until the controller has judged what stands there now; returns the status."""

    def seen(it):
        status = it.get("status", {})
        return status.get("observedGeneration") == it["metadata"]["generation"] and status.get("conditions") and enough(status)

    return ns.until(f"poddisruptionbudgets/{name_}", seen, GROUP)["status"]


def run_pods(ns, number):
    names = [ns.pod("sleep 100000", f"web-{it}", metadata={"labels": LABELS}) for it in range(number)]
    for name_ in names:
        ns.until_ready(name_)
    return names


@conforms("[sig-apps] DisruptionController should create a PodDisruptionBudget")
def test_create(ns, cluster):
    path = ns.path("poddisruptionbudgets/budget", GROUP)
    assert budget(ns, minAvailable=1, labels={"stage": "created"})["spec"]["minAvailable"] == 1
    until_seen(ns)
    updated = edit(ns, "poddisruptionbudgets/budget", GROUP, lambda it: it["spec"].update(minAvailable=2))
    assert updated["spec"]["minAvailable"] == 2 and updated["metadata"]["generation"] == 2
    until_seen(ns)
    patched = cluster.patch(path, {"spec": {"minAvailable": "50%"}}).ok()
    assert patched["spec"]["minAvailable"] == "50%" and patched["spec"]["selector"]["matchLabels"] == LABELS
    until_seen(ns)
    cluster.delete(path).ok()
    assert cluster.get(path).status == 404


@conforms("[sig-apps] DisruptionController should observe PodDisruptionBudget status updated")
def test_status(ns):
    budget(ns, minAvailable=1)
    until_seen(ns, lambda status: status["disruptionsAllowed"] == 0)
    run_pods(ns, 3)
    status = until_seen(ns, lambda status: status["disruptionsAllowed"] > 0 and status["currentHealthy"] == 3)
    assert (status["desiredHealthy"], status["expectedPods"], status["disruptionsAllowed"]) == (1, 3, 2)
    allowed = status["conditions"][0]
    assert (allowed["type"], allowed["status"], allowed["reason"]) == ("DisruptionAllowed", "True", "SufficientPods")


@conforms("[sig-apps] DisruptionController should update/patch PodDisruptionBudget status")
def test_status_operations(ns, cluster):
    budget(ns, minAvailable=1)
    pod = run_pods(ns, 1)[0]
    until_seen(ns, lambda status: status["currentHealthy"] == 1)
    # the pod must be there: the controller forgets those that are not
    times = iter(("2099-01-01T00:00:00Z", "2099-02-02T00:00:00Z"))

    def disrupt(body):
        body["status"]["disruptedPods"] = {pod: next(times)}

    updated = edit(ns, "poddisruptionbudgets/budget/status", GROUP, disrupt)
    assert list(updated["status"]["disruptedPods"]) == [pod]
    patch = {"status": {"disruptedPods": {pod: "2099-03-03T00:00:00Z"}}}
    patched = cluster.patch(ns.path("poddisruptionbudgets/budget/status", GROUP), patch).ok()
    assert patched["status"]["disruptedPods"] == {pod: "2099-03-03T00:00:00Z"}
    assert patched["spec"] == updated["spec"]


@conforms("[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it")
def test_eviction(ns, cluster):
    pods = run_pods(ns, 3)
    budget(ns, minAvailable=3)
    until_seen(ns, lambda status: status["currentHealthy"] == 3)

    def evict(pod):
        return cluster.post(ns.path(f"pods/{pod}/eviction"), {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})

    refused = evict(pods[0]).refused(429, "Cannot evict pod as it would violate the pod's disruption budget.")
    assert refused["reason"] == "TooManyRequests" and refused["details"]["causes"][0]["reason"] == "DisruptionBudget"
    edit(ns, "poddisruptionbudgets/budget", GROUP, lambda it: it["spec"].update(minAvailable=2))
    until_seen(ns, lambda status: status["disruptionsAllowed"] == 1)
    evict(pods[0]).ok()
    ns.until_gone(f"pods/{pods[0]}")
    cluster.patch(ns.path("poddisruptionbudgets/budget", GROUP), {"spec": {"minAvailable": 3}}).ok()
    until_seen(ns)
    evict(pods[1]).refused(429, "The disruption budget budget needs 3 healthy pods and has 2 currently")
    cluster.delete(ns.path("poddisruptionbudgets/budget", GROUP)).ok()
    evict(pods[1]).ok()
    ns.until_gone(f"pods/{pods[1]}")


@conforms(
    "[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets"
)
def test_collection(ns, make_ns, cluster):
    other = make_ns()
    case = name("budgets")
    for number in range(2):
        budget(ns, f"budget-{number}", {"case": case}, minAvailable=1)
    budget(other, labels={"case": case}, minAvailable="1%")
    everywhere = f"/apis/policy/v1/poddisruptionbudgets?labelSelector=case%3D{case}"

    def found():
        return sorted((it["metadata"]["namespace"], it["metadata"]["name"]) for it in cluster.get(everywhere).ok()["items"])

    assert found() == sorted([(ns.name, "budget-0"), (ns.name, "budget-1"), (other.name, "budget")])
    cluster.delete(ns.path(f"poddisruptionbudgets?labelSelector=case%3D{case}", GROUP)).ok()
    until(lambda: found() == [(other.name, "budget")], "those of one namespace are gone")

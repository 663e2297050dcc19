"""CronJobs: when they make Jobs. A case does not wait for the next minute: its schedule names one that is just over."""

import datetime

import pytest
from support import all_operations, conforms, until

GROUP = "batch/v1"
POD = {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "main", "image": "busybox:1", "command": ["sleep", "100000"]}]}}
POD["spec"]["terminationGracePeriodSeconds"] = 0


def ago(minutes):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes)


def at(time):
    return f"{time.minute} {time.hour} * * *"


def cron_job(ns, **spec):
    """Its schedule is of three minutes ago, and was heeded before that."""
    spec = {"schedule": at(ago(3)), "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"template": POD}}, **spec}
    ns.create("cronjobs", {"metadata": {"name": "cron"}, "spec": spec}, GROUP)
    ns.cluster.patch(ns.path("cronjobs/cron/status", GROUP), {"status": {"lastScheduleTime": f"{ago(10):%Y-%m-%dT%H:%M:%SZ}"}}).ok()


def come_due_again(ns):
    ns.cluster.patch(ns.path("cronjobs/cron", GROUP), {"spec": {"schedule": at(ago(1))}}).ok()


def active(ns):
    return {it["name"] for it in ns.get("cronjobs/cron", GROUP).get("status", {}).get("active", [])}


def jobs(ns):
    return {it["metadata"]["name"] for it in ns.get("jobs", GROUP)["items"]}


def reasons(ns):
    return [it["reason"] for it in ns.get("events?fieldSelector=involvedObject.kind%3DCronJob")["items"]]


def never(look, what):
    with pytest.raises(AssertionError, match="never"):
        until(look, what, 1)


@conforms("[sig-apps] CronJob should schedule multiple jobs concurrently")
def test_allow(ns):
    cron_job(ns, concurrencyPolicy="Allow")
    until(lambda: len(active(ns)) == 1, "a job")
    come_due_again(ns)
    until(lambda: len(active(ns)) == 2 and active(ns) == jobs(ns), "two jobs at once")


@conforms("[sig-apps] CronJob should not schedule jobs when suspended [Slow]")
def test_suspended(ns):
    cron_job(ns, suspend=True)
    never(lambda: jobs(ns), "a job")
    assert not active(ns)
    ns.cluster.patch(ns.path("cronjobs/cron", GROUP), {"spec": {"suspend": False}}).ok()
    until(lambda: len(jobs(ns)) == 1, "it was due")


@conforms("[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent [Slow]")
def test_forbid(ns):
    cron_job(ns, concurrencyPolicy="Forbid")
    first = until(lambda: active(ns), "a job")
    come_due_again(ns)
    until(lambda: "JobAlreadyActive" in reasons(ns), "the event")
    never(lambda: jobs(ns) != first, "another job")
    assert active(ns) == first


@conforms("[sig-apps] CronJob should replace jobs when ReplaceConcurrent")
def test_replace(ns):
    cron_job(ns, concurrencyPolicy="Replace")
    first = until(lambda: active(ns), "a job")
    come_due_again(ns)
    until(lambda: len(active(ns)) == 1 and active(ns) != first, "another job")
    until(lambda: jobs(ns) == active(ns), "the first job is gone")


@conforms("[sig-apps] CronJob should support CronJob API operations")
def test_operations(ns, cluster):
    body = {"spec": {"schedule": "*/1 * * * *", "suspend": True, "jobTemplate": {"spec": {"template": POD}}}}
    all_operations(cluster, GROUP, "cronjobs", body, ns.name, status={"lastScheduleTime": "2024-01-01T00:00:00Z"})

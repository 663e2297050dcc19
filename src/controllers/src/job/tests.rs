//! Jobs told as stories: rounds of the plan, and what pods do between them.

use super::plan::plan;
use super::pods::Wish;
use super::pods::{TRACKING, index_of, is_tracked, pod_of, uid};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::pod as ask;
use serde_json::{Value, json};
use std::sync::Arc;

struct Story {
    job: Job,
    pods: Vec<Pod>,
    made: usize,
    now: i64,
    said: Vec<String>,
}

impl Story {
    fn of(spec: Value) -> Self {
        let mut whole = json!({
            "parallelism": 1, "backoffLimit": 6, "podReplacementPolicy": "TerminatingOrFailed",
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}},
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let meta = json!({"name": "j", "namespace": "n", "uid": "job"});
        let job = serde_json::from_value(json!({"metadata": meta, "spec": whole, "status": {}})).unwrap();
        Story { job, pods: Vec::new(), made: 0, now: 1000, said: Vec::new() }
    }

    fn at(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.now).unwrap()
    }

    /// One round, carried out up to the named step.
    fn round_until(&mut self, crash: &str) -> String {
        let pods: Vec<Arc<Pod>> = self.pods.iter().cloned().map(Arc::new).collect();
        let plan = plan(&self.job, &pods, self.at());
        for gone in &plan.delete {
            let end = Time(self.at());
            let pod = self.pods.iter_mut().find(|pod| uid(pod) == uid(gone)).unwrap();
            pod.metadata.deletion_timestamp = Some(end);
            if plan.deleted_do_not_count {
                pod.metadata.finalizers = None;
            }
        }
        for new in &plan.create {
            let mut pod = pod_of(&self.job, *new);
            pod.metadata.uid = Some(format!("p{}", self.made));
            pod.metadata.name = pod.metadata.uid.clone();
            pod.metadata.creation_timestamp = Some(Time(self.at()));
            self.made += 1;
            self.pods.push(pod);
        }
        self.job.status = Some(plan.before);
        if crash == "before its finalizers go" {
            return crash.to_owned();
        }
        for pod in &mut self.pods {
            if plan.release.iter().any(|released| uid(released) == uid(pod)) {
                pod.metadata.finalizers = None;
            }
        }
        if crash == "before it is counted" {
            return crash.to_owned();
        }
        self.job.status = Some(plan.after);
        self.said.extend(plan.say.into_iter().map(|said| said.reason.to_owned()));
        match plan.again {
            Some(wait) => format!("{}, again in {}", self.shown(), wait.as_secs()),
            None => self.shown(),
        }
    }

    fn round(&mut self) -> String {
        self.round_until("")
    }

    fn shown(&self) -> String {
        let status = self.job.status.clone().unwrap_or_default();
        let mut words = vec![format!(
            "{} active, {} succeeded, {} failed",
            status.active.unwrap_or(0),
            status.succeeded.unwrap_or(0),
            status.failed.unwrap_or(0)
        )];
        for (what, text) in [("done", status.completed_indexes), ("lost", status.failed_indexes)] {
            words.extend(text.filter(|text| !text.is_empty()).map(|text| format!("{what} {text}")));
        }
        let held = status.conditions.into_iter().flatten().filter(|condition| condition.status == "True");
        words.extend(held.map(|c| format!("{}={}", c.type_, c.reason.unwrap_or_default())));
        words.join("; ")
    }

    fn pod(&mut self, name: &str) -> &mut Pod {
        self.pods.iter_mut().find(|pod| uid(pod) == name).unwrap_or_else(|| panic!("no pod {name}"))
    }

    fn succeeds(&mut self, name: &str) {
        self.ends(name, "Succeeded", 0);
    }

    fn fails(&mut self, name: &str, code: i32) {
        self.ends(name, "Failed", code);
    }

    fn ends(&mut self, name: &str, phase: &str, code: i32) {
        let at = Time(self.at()).0.to_string();
        let terminated = json!({"exitCode": code, "finishedAt": at});
        let status = json!({"phase": phase, "containerStatuses": [{
            "name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated},
        }]});
        self.pod(name).status = Some(serde_json::from_value(status).unwrap());
    }

    /// Somebody deletes it; it takes its time.
    fn is_deleted(&mut self, name: &str) {
        let at = Time(self.at());
        self.pod(name).metadata.deletion_timestamp = Some(at);
    }

    /// What was deleted, and is held by nobody, is gone.
    fn swept(&mut self) {
        self.pods.retain(|pod| !ask::is_deleting(pod) || is_tracked(pod));
    }

    fn indexes(&self) -> Vec<i32> {
        let wish = Wish::of(&self.job);
        self.pods.iter().filter(|pod| ask::is_active(pod)).filter_map(|pod| index_of(pod, &wish)).collect()
    }
}

#[test]
fn so_many_at_once_until_so_many_have_succeeded() {
    let mut story = Story::of(json!({"completions": 3, "parallelism": 2}));
    assert_eq!(story.round(), "2 active, 0 succeeded, 0 failed");
    assert!(story.pods.iter().all(|pod| pod.metadata.finalizers == Some(vec![TRACKING.to_owned()])));
    assert_eq!(story.round(), "2 active, 0 succeeded, 0 failed", "twice is once");
    story.succeeds("p0");
    assert_eq!(story.round(), "2 active, 1 succeeded, 0 failed");
    story.succeeds("p1");
    story.succeeds("p2");
    let done =
        "0 active, 3 succeeded, 0 failed; SuccessCriteriaMet=CompletionsReached; Complete=CompletionsReached";
    assert_eq!(story.round(), done);
    assert_eq!(story.said, ["Completed"]);
    assert!(story.pods.iter().all(|pod| !is_tracked(pod)));
    let status = story.job.status.unwrap();
    assert!(status.start_time.is_some() && status.completion_time.is_some());
}

#[test]
fn failures_wait_longer_and_longer_and_then_it_is_enough() {
    let mut story = Story::of(json!({"completions": 1, "backoffLimit": 2}));
    story.round();
    story.fails("p0", 1);
    assert_eq!(story.round(), "0 active, 0 succeeded, 1 failed, again in 10");
    story.now += 10;
    assert_eq!(story.round(), "1 active, 0 succeeded, 1 failed");
    story.fails("p1", 1);
    assert_eq!(story.round(), "0 active, 0 succeeded, 2 failed, again in 20");
    story.now += 20;
    story.round();
    story.fails("p2", 1);
    let end =
        "0 active, 0 succeeded, 3 failed; FailureTarget=BackoffLimitExceeded; Failed=BackoffLimitExceeded";
    assert_eq!(story.round(), end);
    assert_eq!(story.said, ["BackoffLimitExceeded"]);
}

#[test]
fn what_restarts_in_place_counts_its_restarts() {
    let mut story = Story::of(json!({"completions": 1, "backoffLimit": 2}));
    let template = &mut story.job.spec.as_mut().unwrap().template;
    template.spec.as_mut().unwrap().restart_policy = Some("OnFailure".to_owned());
    story.round();
    let running = |restarts: i32| {
        let container =
            json!({"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": restarts});
        serde_json::from_value(json!({"phase": "Running", "containerStatuses": [container]})).unwrap()
    };
    story.pod("p0").status = Some(running(1));
    assert_eq!(story.round(), "1 active, 0 succeeded, 0 failed");
    story.pod("p0").status = Some(running(2));
    assert_eq!(story.round(), "0 active, 0 succeeded, 1 failed; FailureTarget=BackoffLimitExceeded");
    story.swept();
    let end =
        "0 active, 0 succeeded, 1 failed; FailureTarget=BackoffLimitExceeded; Failed=BackoffLimitExceeded";
    assert_eq!(story.round(), end);
}

#[test]
fn each_index_is_done_once() {
    let mut story = Story::of(json!({"completionMode": "Indexed", "completions": 4, "parallelism": 2}));
    story.round();
    assert_eq!(story.indexes(), [0, 1]);
    let pod = &story.pods[1];
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("j-1-"));
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!(spec.hostname.as_deref(), Some("j-1"));
    assert_eq!(spec.containers[0].env.as_ref().unwrap()[0].name, "JOB_COMPLETION_INDEX");
    story.succeeds("p1");
    assert_eq!(story.round(), "2 active, 1 succeeded, 0 failed; done 1");
    assert_eq!(story.indexes(), [0, 2]);
    story.succeeds("p2");
    // a success after it would begin the back-off anew
    story.now += 1;
    story.fails("p0", 1);
    assert_eq!(story.round(), "0 active, 2 succeeded, 1 failed; done 1,2, again in 10");
    story.now += 10;
    story.round();
    assert_eq!(story.indexes(), [0, 3]);
    // a pod that works on what another has done, or twice on the same, is too many
    story.now += 5;
    let mut double = story.pods.last().unwrap().clone();
    double.metadata.uid = Some("double".to_owned());
    double.metadata.creation_timestamp = Some(Time(story.at()));
    story.pods.push(double);
    story.round();
    assert_eq!(story.indexes(), [0, 3]);
    story.swept();
    story.succeeds("p3");
    story.succeeds("p4");
    let done = "0 active, 4 succeeded, 1 failed; done 0-3; SuccessCriteriaMet=CompletionsReached; Complete=CompletionsReached";
    assert_eq!(story.round(), done);
}

#[test]
fn indexes_fail_each_for_itself() {
    let mut story = Story::of(json!({
        "completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimit": i32::MAX, "backoffLimitPerIndex": 1,
    }));
    story.round();
    story.fails("p0", 1);
    story.succeeds("p1");
    assert_eq!(story.round(), "0 active, 1 succeeded, 1 failed; done 1, again in 10");
    story.now += 10;
    assert_eq!(story.round(), "1 active, 1 succeeded, 1 failed; done 1");
    story.fails("p2", 1);
    let end =
        "0 active, 1 succeeded, 2 failed; done 1; lost 0; FailureTarget=FailedIndexes; Failed=FailedIndexes";
    assert_eq!(story.round(), end);
}

#[test]
fn a_suspended_job_has_no_pods_and_none_of_them_failed() {
    let mut story = Story::of(json!({"completions": 2, "parallelism": 2, "activeDeadlineSeconds": 60}));
    assert_eq!(story.round(), "2 active, 0 succeeded, 0 failed, again in 60");
    let suspend = |story: &mut Story, suspend| story.job.spec.as_mut().unwrap().suspend = Some(suspend);
    suspend(&mut story, true);
    assert_eq!(story.round(), "0 active, 0 succeeded, 0 failed; Suspended=JobSuspended");
    let began = |story: &Story| story.job.status.as_ref().and_then(|status| status.start_time.clone());
    assert_eq!(began(&story), None, "it begins anew when it goes on");
    story.swept();
    story.now += 1000;
    assert_eq!(story.round(), "0 active, 0 succeeded, 0 failed; Suspended=JobSuspended");
    suspend(&mut story, false);
    assert_eq!(story.round(), "2 active, 0 succeeded, 0 failed, again in 60");
    assert_eq!(began(&story).map(|at| at.0), Some(story.at()));
    assert_eq!(story.said, ["Suspended", "Resumed"]);
}

#[test]
fn a_job_that_takes_too_long_ends_with_its_pods() {
    let mut story = Story::of(json!({"completions": 1, "activeDeadlineSeconds": 60}));
    story.round();
    story.now += 60;
    assert_eq!(story.round(), "0 active, 0 succeeded, 1 failed; FailureTarget=DeadlineExceeded");
    assert_eq!(story.said, [""; 0], "its pod is still there");
    story.swept();
    let end = "0 active, 0 succeeded, 1 failed; FailureTarget=DeadlineExceeded; Failed=DeadlineExceeded";
    assert_eq!(story.round(), end);
    assert_eq!(story.said, ["DeadlineExceeded"]);
}

#[test]
fn a_pod_that_somebody_deletes_has_failed() {
    let mut story = Story::of(json!({"completions": 1}));
    story.round();
    story.is_deleted("p0");
    assert_eq!(story.round(), "0 active, 0 succeeded, 1 failed, again in 10");
    assert_eq!(story.round(), "1 active, 0 succeeded, 1 failed");
    // where only ended pods are replaced, it may still succeed
    let mut story = Story::of(json!({"completions": 1, "podReplacementPolicy": "Failed"}));
    story.round();
    story.is_deleted("p0");
    assert_eq!(story.round(), "0 active, 0 succeeded, 0 failed");
    story.succeeds("p0");
    assert!(story.round().contains("1 succeeded, 0 failed"));
}

#[test]
fn no_pod_is_forgotten_or_counted_twice_whenever_the_program_ends() {
    for crash in ["before its finalizers go", "before it is counted"] {
        let mut story = Story::of(json!({"completions": 2, "parallelism": 2}));
        story.round();
        story.succeeds("p0");
        story.fails("p1", 1);
        story.round_until(crash);
        // whoever is let go of may be gone by now
        story.pods.retain(is_tracked);
        let after = story.round();
        assert!(
            after.starts_with("0 active, 1 succeeded, 1 failed")
                || after.starts_with("1 active, 1 succeeded, 1 failed"),
            "{crash}: {after}"
        );
        let again = story.round();
        assert!(again.contains("1 succeeded, 1 failed"), "{crash}: {again}");
    }
}

#[test]
fn a_policy_says_what_a_failure_means() {
    let rules = json!([
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    ]);
    let mut story = Story::of(json!({
        "completions": 2, "parallelism": 2, "podReplacementPolicy": "Failed", "podFailurePolicy": {"rules": rules},
    }));
    story.round();
    story.fails("p0", 1);
    let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
    story.pod("p0").status.as_mut().unwrap().conditions = Some(serde_json::from_value(disrupted).unwrap());
    assert!(story.round().starts_with("1 active, 0 succeeded, 0 failed"));
    story.fails("p1", 42);
    let end = "0 active, 0 succeeded, 1 failed; FailureTarget=PodFailurePolicy; Failed=PodFailurePolicy";
    assert_eq!(story.round(), end);
}

#[test]
fn a_policy_says_when_it_is_enough() {
    let policy = json!({"rules": [{"succeededIndexes": "0"}]});
    let mut story = Story::of(json!({
        "completionMode": "Indexed", "completions": 3, "parallelism": 3, "successPolicy": policy,
    }));
    story.round();
    story.succeeds("p0");
    assert_eq!(story.round(), "0 active, 1 succeeded, 0 failed; done 0; SuccessCriteriaMet=SuccessPolicy");
    story.swept();
    let done =
        "0 active, 1 succeeded, 0 failed; done 0; SuccessCriteriaMet=SuccessPolicy; Complete=SuccessPolicy";
    assert_eq!(story.round(), done);
}

#[test]
fn without_a_count_the_first_success_is_enough() {
    let mut story = Story::of(json!({"parallelism": 3}));
    story.round();
    story.succeeds("p1");
    assert_eq!(story.round(), "2 active, 1 succeeded, 0 failed");
    story.fails("p0", 1);
    assert_eq!(story.round(), "1 active, 1 succeeded, 1 failed");
    story.succeeds("p2");
    assert!(story.round().ends_with("Complete=CompletionsReached"));
}

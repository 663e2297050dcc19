//! Upstream's cases: pods that are ready, missing or without metrics.

use super::*;
use serde_json::json;

const NOW: i64 = 10_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What becomes of a pod in these tests.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    /// Uses so many thousandths.
    Ready(i64),
    /// The same, and is not ready yet since it started a minute ago.
    Starting(i64),
    Pending,
    /// Nobody measured it.
    Missing,
    Failed,
    Deleting,
}
use Is::{Deleting, Failed, Missing, Pending, Ready, Starting};

fn pod(index: usize, is: Is) -> Arc<Pod> {
    let (phase, ready, started) = match is {
        Pending => ("Pending", "False", NOW),
        Failed => ("Failed", "False", 0),
        Starting(_) => ("Running", "False", NOW - 60),
        _ => ("Running", "True", 0),
    };
    serde_json::from_value(json!({
        "metadata": {"name": format!("p{index}"), "deletionTimestamp": (is == Deleting).then_some("1970-01-01T00:00:00Z")},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": phase, "startTime": at(started).to_string(), "conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": at(started).to_string()}]},
    }))
    .map(Arc::new)
    .unwrap()
}

fn proposed(current: i32, target: Target, all: &[Is]) -> Result<Proposal, String> {
    let pods: Vec<Arc<Pod>> = all.iter().enumerate().map(|(index, is)| pod(index, *is)).collect();
    let measured = all.iter().enumerate().filter_map(|(index, is)| match is {
        Ready(value) | Starting(value) => Some((format!("p{index}"), *value)),
        Deleting | Failed => Some((format!("p{index}"), 100_000)),
        _ => None,
    });
    let metric = |value| PodMetric { value, end: at(NOW), window: Duration::from_secs(15) };
    let metrics = measured.map(|(name, value)| (name, metric(value))).collect();
    let of = Measured { resource: "cpu", container: None };
    replicas(current, target, of, &pods, metrics, Tolerance::default(), at(NOW))
}

#[test]
fn utilization_asks_for_pods_as_upstream_s_calculator_does() {
    // (name, pods, target percent, wanted pods, utilization); each requests a core
    let cases: &[(&str, &[Is], i32, i32, i32)] = &[
        ("scale up", &[Ready(300), Ready(500), Ready(700)], 30, 5, 50),
        ("scale up, one is not ready", &[Starting(300), Ready(500), Ready(700)], 30, 4, 60),
        ("two are not ready: nothing", &[Starting(400), Starting(500), Ready(700)], 30, 3, 70),
        ("one is pending", &[Pending, Ready(500), Ready(700)], 30, 4, 60),
        ("one has failed", &[Ready(500), Ready(700), Failed], 30, 4, 60),
        ("one goes", &[Ready(500), Ready(700), Deleting], 30, 4, 60),
        ("scale down", &[Ready(100), Ready(300), Ready(500), Ready(250), Ready(250)], 50, 3, 28),
        (
            "scale down, those that start do not count",
            &[Ready(100), Ready(300), Ready(500), Starting(250), Starting(250)],
            50,
            2,
            30,
        ),
        ("within the tolerance", &[Ready(1010), Ready(1030), Ready(1020)], 100, 3, 102),
        ("missing, and more would be asked for", &[Ready(1000), Missing], 50, 2, 100),
        ("missing, and less", &[Ready(100), Ready(100), Missing, Ready(100)], 100, 2, 10),
        ("missing turns it round", &[Ready(400), Missing], 50, 2, 40),
    ];
    for (name, all, percent, want, utilization) in cases {
        let got = proposed(all.len() as i32, Target::Utilization(*percent), all).unwrap();
        assert_eq!((got.replicas, got.utilization), (*want, Some(*utilization)), "{name}");
    }
}

#[test]
fn a_pod_that_asks_as_a_whole_is_measured_by_that() {
    let asked = |whole: serde_json::Value, of: Measured<'_>| {
        let container = json!({"name": "c", "resources": {"requests": {"memory": "1Gi"}}});
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [container, {"name": "d"}], "resources": {"requests": whole}},
        }))
        .unwrap();
        requests(&[Arc::new(pod)], of).map(|all| all["p"])
    };
    let of = |resource, container| Measured { resource, container };
    let two = || json!({"cpu": "2"});
    assert_eq!(asked(two(), of("cpu", None)), Ok(2000));
    assert_eq!(
        asked(two(), of("memory", None)),
        Ok((1 << 30) * 1000),
        "what it does not say its containers do"
    );
    let missing = |why: &str| -> Result<i64, String> { Err(why.to_owned()) };
    let of_whole = missing("missing pod-level request for cpu in Pod p");
    assert_eq!(asked(json!({"memory": "2Gi"}), of("cpu", None)), of_whole);
    let of_container = missing("missing request for cpu in container c of Pod p");
    assert_eq!(asked(two(), of("cpu", Some("c"))), of_container, "a container's share of it nobody knows");
    assert_eq!(asked(json!({}), of("cpu", None)), of_container);
}

#[test]
fn averages_ask_for_pods_too() {
    for (name, all, value, want, average) in [
        ("scale up", vec![Ready(300), Ready(500), Ready(700)], 300, 5, 500),
        ("scale down", vec![Ready(100), Ready(100), Ready(100)], 300, 1, 100),
        ("tolerance", vec![Ready(310), Ready(290)], 300, 2, 300),
        ("missing", vec![Ready(600), Missing], 300, 2, 600),
    ] {
        let got = proposed(all.len() as i32, Target::AverageValue(value), &all).unwrap();
        assert_eq!((got.replicas, got.average, got.utilization), (want, average, None), "{name}");
    }
}

#[test]
fn values_of_others_ask_for_pods() {
    let three = [pod(0, Ready(1)), pod(1, Ready(1)), pod(2, Pending)];
    let ratio = |current, value| by_ratio(current, value, 100, &three, Tolerance::default());
    // two are ready
    assert_eq!([ratio(3, 300), ratio(3, 105), ratio(3, 50), ratio(0, 250)], [6, 3, 1, 3]);
    let average = |current, value| by_average(current, value, 100, Tolerance::default());
    assert_eq!(
        [average(2, 500), average(2, 210), average(4, 100), average(0, 150)],
        [(5, 250), (2, 105), (1, 25), (2, 150)]
    );
}

#[test]
fn what_can_not_be_told_is_an_error_in_upstream_s_words() {
    let half = Target::Utilization(50);
    let none = proposed(0, half, &[]).unwrap_err();
    assert_eq!(none, "no pods returned by selector while calculating replica count");
    let unmeasured = proposed(1, half, &[Missing]).unwrap_err();
    assert_eq!(unmeasured, "did not receive metrics for any ready pods");
    let mut plain = Arc::unwrap_or_clone(pod(0, Ready(1)));
    plain.spec.as_mut().unwrap().containers[0].resources = None;
    let metric = PodMetric { value: 1, end: at(NOW), window: Duration::ZERO };
    let of = Measured { resource: "cpu", container: None };
    let metrics = [("p0".to_owned(), metric)].into();
    let refused = replicas(1, half, of, &[Arc::new(plain)], metrics, Tolerance::default(), at(NOW));
    assert_eq!(refused.unwrap_err(), "missing request for cpu in container c of Pod p0");
}

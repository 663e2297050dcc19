//! Schedules, jobs that run, were missed or are over, and what follows.

use super::*;
use serde_json::{Value, json};

fn at(time: &str) -> Timestamp {
    format!("2024-01-01T{time}:00Z").parse().unwrap()
}

fn cron(spec: Value, active: &[&str], last: Option<&str>) -> CronJob {
    let mut whole = json!({
        "schedule": "0 * * * *", "concurrencyPolicy": "Allow", "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1, "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}},
    });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let active: Vec<Value> = active.iter().map(|name| json!({"name": name, "uid": name})).collect();
    serde_json::from_value(json!({
        "metadata": {"name": "c", "namespace": "n", "uid": "cron", "creationTimestamp": at("00:10").to_string()},
        "spec": whole,
        "status": {"active": active, "lastScheduleTime": last.map(|last| at(last).to_string())},
    }))
    .unwrap()
}

/// How it is: nothing for one that runs, `Complete` or `Failed`; and when it began.
fn job(name: &str, how: &str, start: &str) -> Arc<Job> {
    let conditions = if how.is_empty() { json!([]) } else { json!([{"type": how, "status": "True"}]) };
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": name}, "spec": {"template": {}},
            "status": {"conditions": conditions, "startTime": at(start).to_string(),
                "completionTime": (how == "Complete").then(|| at(start).to_string())},
        }))
        .unwrap(),
    )
}

struct Case {
    name: &'static str,
    cron: CronJob,
    jobs: Vec<Arc<Job>>,
    now: &'static str,
    /// For which time one is started, who is replaced, who is forgotten, who is active then, what is said.
    want: [&'static str; 5],
}

#[test]
fn a_job_is_started_when_it_is_due() {
    let case = |name, cron, jobs, now, want| Case { name, cron, jobs, now, want };
    let named = |hour: i64| format!("c-{}", at("00:00").as_second() / 60 + hour * 60);
    let first = named(1);
    let cases = [
        case("not yet", cron(json!({}), &[], None), vec![], "00:50", ["", "", "", "", ""]),
        case("due", cron(json!({}), &[], None), vec![], "01:00", ["01:00", "", "", "", ""]),
        case("a little late", cron(json!({}), &[], None), vec![], "01:20", ["01:00", "", "", "", ""]),
        case("already", cron(json!({}), &[], Some("01:00")), vec![], "01:20", ["", "", "", "", ""]),
        case("only the last of many", cron(json!({}), &[], None), vec![], "05:20", ["05:00", "", "", "", ""]),
        case("suspended", cron(json!({"suspend": true}), &[], None), vec![], "01:00", ["", "", "", "", ""]),
        case(
            "too late",
            cron(json!({"startingDeadlineSeconds": 60}), &[], None),
            vec![],
            "01:20",
            ["", "", "", "", "MissSchedule"],
        ),
        case(
            "far too many",
            cron(json!({"schedule": "* * * * *"}), &[], None),
            vec![],
            "05:00",
            ["05:00", "", "", "", "TooManyMissedTimes"],
        ),
        case(
            "one runs, another beside it",
            cron(json!({}), &["a"], Some("00:00")),
            vec![job("a", "", "00:00")],
            "01:00",
            ["01:00", "", "", "a", ""],
        ),
        case(
            "one runs, and none beside it",
            cron(json!({"concurrencyPolicy": "Forbid"}), &["a"], Some("00:00")),
            vec![job("a", "", "00:00")],
            "01:00",
            ["", "", "", "a", "JobAlreadyActive"],
        ),
        case(
            "one runs, and gives its place",
            cron(json!({"concurrencyPolicy": "Replace"}), &["a"], Some("00:00")),
            vec![job("a", "", "00:00")],
            "01:00",
            ["01:00", "a", "", "", ""],
        ),
        case(
            "it has ended",
            cron(json!({}), &["a"], Some("01:00")),
            vec![job("a", "Complete", "00:00")],
            "01:20",
            ["", "", "", "", "SawCompletedJob"],
        ),
        case(
            "it is gone",
            cron(json!({}), &["a"], Some("01:00")),
            vec![],
            "01:20",
            ["", "", "", "", "MissingJob"],
        ),
        case(
            "nobody knows it",
            cron(json!({}), &[], Some("01:00")),
            vec![job("a", "", "00:00")],
            "01:20",
            ["", "", "", "", "UnexpectedJob"],
        ),
        case(
            "the oldest are forgotten",
            cron(json!({"successfulJobsHistoryLimit": 1}), &[], Some("01:00")),
            vec![
                job("b", "Complete", "00:20"),
                job("a", "Complete", "00:10"),
                job("f", "Failed", "00:05"),
                job("e", "Failed", "00:01"),
            ],
            "01:20",
            ["", "", "a e", "", ""],
        ),
        case(
            "a schedule that is none",
            cron(json!({"schedule": "x"}), &[], None),
            vec![],
            "01:00",
            ["", "", "", "", "UnparseableSchedule"],
        ),
        case(
            "a zone that is none",
            cron(json!({"timeZone": "Nowhere/City"}), &[], None),
            vec![],
            "01:00",
            ["", "", "", "", "UnknownTimeZone"],
        ),
    ];
    for Case { name, cron, jobs, now, want } in cases {
        let plan = plan(&cron, &jobs, at(now));
        let names = |jobs: &[Arc<Job>]| {
            jobs.iter().filter_map(|job| job.metadata.name.clone()).collect::<Vec<_>>().join(" ")
        };
        let started = plan.scheduled_for.map(|at| at.strftime("%H:%M").to_string()).unwrap_or_default();
        assert_eq!(started.is_empty(), plan.start.is_none(), "{name}");
        let active: Vec<String> =
            plan.status.active.iter().flatten().filter_map(|active| active.name.clone()).collect();
        let said: Vec<&str> = plan.say.iter().map(|said| said.reason).collect();
        let got = [started, names(&plan.replace), names(&plan.forget), active.join(" "), said.join(" ")];
        assert_eq!(got, want, "{name}");
    }
    // one that was made before the program ended is not made again
    let plan = plan(&cron(json!({}), &[], None), &[job(&first, "", "01:00")], at("01:01"));
    assert_eq!(plan.start, None);
    assert_eq!(plan.status.active.unwrap()[0].name.as_deref(), Some(first.as_str()));
    assert_eq!(plan.status.last_schedule_time.unwrap().0, at("01:00"));
}

#[test]
fn a_job_says_for_which_time_it_is() {
    let zoned = cron(json!({"schedule": "30 6 * * *", "timeZone": "Asia/Kolkata"}), &[], None);
    let plan = plan(&zoned, &[], at("01:00"));
    let job = plan.start.unwrap();
    assert_eq!(job.metadata.annotations.unwrap()[SCHEDULED_FOR], "2024-01-01T06:30:00+05:30");
    assert_eq!(job.metadata.name.unwrap(), format!("c-{}", at("01:00").as_second() / 60));
    assert_eq!(job.metadata.owner_references.unwrap()[0].name, "c");
    assert_eq!(plan.again.unwrap().as_secs(), 24 * 3600);
}

use super::*;
use serde_json::json;

fn control(limited: serde_json::Value) -> FlowControl {
    let level =
        json!({"metadata": {"name": "l", "uid": "u-l"}, "spec": {"type": "Limited", "limited": limited}});
    let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true});
    let subject = json!({"kind": "User", "user": {"name": "jane"}});
    let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [{"subjects": [subject], "resourceRules": [rule]}]});
    let schema = json!({"metadata": {"name": "s", "uid": "u-s"}, "spec": spec});
    let control = FlowControl::default();
    control.configure(
        &[Arc::new(serde_json::from_value(schema).unwrap())],
        &[Arc::new(serde_json::from_value(level).unwrap())],
    );
    control
}

fn jane<'a>() -> Asked<'a> {
    Asked { user: "jane", verb: "list", resource: Some(crate::ResourceAsked::default()), ..Asked::default() }
}

fn one_queue(length: usize) -> serde_json::Value {
    json!({"nominalConcurrencyShares": 1, "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": length}}})
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_until_another_has_left() {
    let control = Arc::new(control(one_queue(1)));
    let first = control.admit(&jane(), SEATS).await.unwrap();
    assert_eq!(first.uids.as_ref().map(|uids| uids.each_ref().map(|uid| &**uid)), Some(["u-s", "u-l"]));
    let second = tokio::spawn({
        let control = control.clone();
        async move { control.admit(&jane(), 1).await.map(|_| ()) }
    });
    tokio::task::yield_now().await;
    assert_eq!(control.admit(&jane(), 1).await.err(), Some(Rejected::QueueFull));
    let count = |control: &FlowControl| control.counts()[0].1;
    let limits = Limits { nominal: SEATS, lower: SEATS, upper: 2 * SEATS };
    let want =
        Counts { dispatched: 1, rejected: 1, waiting: 1, seats_taken: SEATS, seats_available: SEATS, limits };
    assert_eq!(count(&control), want);
    drop(first);
    assert_eq!(second.await.unwrap(), Ok(()));
    assert_eq!(count(&control), Counts { dispatched: 2, waiting: 0, seats_taken: 0, ..want });
    let other = control.admit(&Asked { user: "joe", ..jane() }, 1).await.unwrap();
    assert!(other.uids.is_none(), "no schema is for him");
}

#[tokio::test(start_paused = true)]
async fn a_dump_tells_who_waits_and_what_is_answered() {
    let control = control(one_queue(5));
    let idle = &control.dump()[0];
    assert_eq!((&*idle.name, idle.is_idle, idle.executing, idle.queues.len()), ("l", true, 0, 1));
    let first = control.admit(&jane(), SEATS).await.unwrap();
    let asked = Asked { path: "/api/v1/pods", ..jane() };
    let mut waiting = Box::pin(control.admit(&asked, 3));
    assert!(futures_poll(&mut waiting).is_none());
    let level = &control.dump()[0];
    assert_eq!((level.is_idle, level.is_quiescing, level.waiting, level.executing), (false, false, 1, 1));
    let queue = &level.queues[0];
    assert_eq!((queue.index, queue.executing, queue.seats_in_use), (0, 1, SEATS));
    let request = &queue.requests[0];
    assert_eq!((&*request.schema, request.user.as_str(), request.verb.as_str()), ("s", "jane", "list"));
    assert_eq!((request.path.as_str(), request.seats), ("/api/v1/pods", 3));
    // the object goes, and the level with who is in it
    control.configure(&[], &[]);
    assert!(control.dump()[0].is_quiescing);
    drop(first);
    let second = futures_poll(&mut waiting).unwrap().unwrap();
    let level = &control.dump()[0];
    assert_eq!((level.waiting, level.executing, level.queues[0].seats_in_use), (0, 1, 3));
    drop(second);
    assert!(control.dump().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_who_leaves_gives_up_his_place() {
    let control = control(one_queue(2));
    let first = control.admit(&jane(), SEATS).await.unwrap();
    assert_eq!(control.admit(&jane(), 1).await.err(), Some(Rejected::TimeOut));
    let asked = jane();
    let leaves = timeout(Duration::from_secs(1), control.admit(&asked, 1)).await;
    assert!(leaves.is_err());
    assert_eq!(control.counts()[0].1.waiting, 0);
    drop(first);
    assert_eq!(control.counts()[0].1.seats_taken, 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_when_he_is_told_takes_no_seat_along() {
    let control = control(one_queue(50));
    for _ in 0..20 {
        let first = control.admit(&jane(), SEATS).await.unwrap();
        let asked = jane();
        let mut waiting = Box::pin(control.admit(&asked, 1));
        assert!(futures_poll(&mut waiting).is_none());
        // his seats are given to him, and he is gone before he sees it
        drop(first);
        drop(waiting);
        assert_eq!(control.counts()[0].1.seats_taken, 0);
    }
}

/// Once.
fn futures_poll<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_whose_level_is_not_there_says_nothing() {
    let control = control(one_queue(1));
    let schema = |name: &str, level: &str, precedence: i32| {
        let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true});
        let subject = json!({"kind": "User", "user": {"name": "jane"}});
        let spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence,
            "rules": [{"subjects": [subject], "resourceRules": [rule]}]});
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name, "uid": name}, "spec": spec})).unwrap(),
        )
    };
    let limited = one_queue(1);
    let level =
        json!({"metadata": {"name": "l", "uid": "u-l"}, "spec": {"type": "Limited", "limited": limited}});
    let level = Arc::new(serde_json::from_value(level).unwrap());
    control.configure(&[schema("first", "gone", 1), schema("second", "l", 2)], &[level]);
    let seat = control.admit(&jane(), 1).await.unwrap();
    assert_eq!(seat.uids.as_ref().map(|[schema, _]| &**schema), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_level_that_changes_keeps_who_is_in_it() {
    let control = control(one_queue(2));
    let seat = control.admit(&jane(), 3).await.unwrap();
    let level = |shares: i32, uid: &str| {
        let mut limited = one_queue(2);
        limited["nominalConcurrencyShares"] = shares.into();
        let object =
            json!({"metadata": {"name": "l", "uid": uid}, "spec": {"type": "Limited", "limited": limited}});
        Arc::new(serde_json::from_value(object).unwrap())
    };
    control.configure(&[], &[level(5, "u-l")]);
    assert_eq!(control.counts()[0].1.seats_taken, 3);
    control.configure(&[], &[level(5, "another")]);
    let now = control.counts()[0].1;
    assert_eq!((now.seats_taken, now.limits.nominal), (0, SEATS / 2), "one of the same name");
    drop(seat);
    assert_eq!(control.counts()[0].1.limits.nominal, SEATS, "the other has gone");
}

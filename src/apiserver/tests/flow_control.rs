//! Priority and fairness at the edge: who finds no seat is told to come again, and all others are served.

mod common;

use common::{Answer, Server, Who};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

async fn create(server: &Server, path: &str, object: &Value) {
    let answer = server.post(Who::Admin, path, "application/json", object.to_string().as_bytes()).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
}

async fn as_jane(server: &Server) -> Answer {
    server.ask(Who::Admin, "GET /api/v1/namespaces", &[("Impersonate-User", "jane")], b"").await
}

/// Jane may do everything, and whatever she asks for belongs to the level.
async fn let_jane_in(server: &Server, level: &str) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let jane = json!([{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]);
    let role =
        json!({"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"});
    create(server, rbac, &json!({"metadata": {"name": "jane"}, "subjects": jane, "roleRef": role})).await;
    while as_jane(server).await.code == 403 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let subject = json!({"kind": "User", "user": {"name": "jane"}});
    let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true});
    let spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": 50,
        "rules": [{"subjects": [subject], "resourceRules": [rule]}]});
    create(server, &format!("{GROUP}/flowschemas"), &json!({"metadata": {"name": "jane"}, "spec": spec}))
        .await;
}

/// Reads an answer so slowly that 15 MB last for more than half a minute: who takes nothing for ten seconds loses his connection, and
/// the seats. The client hangs up when this is dropped.
fn hardly_read(mut stream: impl AsyncRead + Unpin + Send + 'static) -> JoinSet<()> {
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        let mut piece = vec![0; 64 * 1024];
        while stream.read_exact(&mut piece).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    reading
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

#[tokio::test]
async fn a_level_without_seats_refuses_and_holds_up_nobody_else() {
    let server = Server::start().await;
    let_jane_in(&server, "none").await;
    let dangling = async || {
        let schema = server.ask(Who::Admin, &format!("GET {GROUP}/flowschemas/jane"), &[], b"").await.json();
        schema["status"]["conditions"][0]["status"].as_str().unwrap_or_default().to_owned()
    };
    while dangling().await != "True" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // a level that there is not holds up nobody
    assert_eq!(as_jane(&server).await.code, 200);
    let limited = json!({"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}});
    let level = json!({"metadata": {"name": "none"}, "spec": {"type": "Limited", "limited": limited}});
    create(&server, &format!("{GROUP}/prioritylevelconfigurations"), &level).await;
    while as_jane(&server).await.code != 429 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = as_jane(&server).await;
    assert_eq!(refused.json()["reason"], "TooManyRequests");
    assert_eq!(header(&refused, "retry-after"), Some("1"));
    while dangling().await != "False" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let served = server.ask(Who::Admin, "GET /api/v1/namespaces", &[], b"").await;
    assert_eq!(served.code, 200);
    let exempt = server.ask(Who::Admin, &format!("GET {GROUP}/flowschemas/exempt"), &[], b"").await.json();
    assert_eq!(header(&served, "x-kubernetes-pf-flowschema-uid"), exempt["metadata"]["uid"].as_str());
    let metrics = server.ask(Who::Admin, "GET /metrics", &[], b"").await.body;
    for line in [
        "apiserver_flowcontrol_rejected_requests_total{priority_level=\"none\"} ",
        "apiserver_request_total{component=\"apiserver\",group=\"\",resource=\"namespaces\",scope=\"cluster\",subresource=\"\",verb=\"LIST\",version=\"v1\",code=\"429\",dry_run=\"\"} ",
    ] {
        assert!(metrics.lines().any(|told| told.starts_with(line) && !told.ends_with(" 0")), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_full_goes_on_with_what_others_lend() {
    let server = Server::start().await;
    let big = "x".repeat(500_000);
    for number in 0..30 {
        let map = json!({"metadata": {"name": format!("m{number}")}, "data": {"k": big}});
        create(&server, "/api/v1/namespaces/default/configmaps", &map).await;
    }
    // a part of 1 in 246 of 600 seats
    let limited = json!({"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}});
    let level = json!({"metadata": {"name": "small"}, "spec": {"type": "Limited", "limited": limited}});
    let levels = format!("{GROUP}/prioritylevelconfigurations");
    create(&server, &levels, &level).await;
    let_jane_in(&server, "small").await;
    let seats = async |what: &str| -> Option<u32> {
        let metrics = server.ask(Who::Admin, "GET /metrics", &[], b"").await.body;
        let line = format!("apiserver_flowcontrol_{what}_seats{{priority_level=\"small\"}} ");
        metrics.lines().find_map(|told| told.strip_prefix(&line)?.parse().ok())
    };
    let wait_for = async |what: &str, number: u32| {
        while seats(what).await != Some(number) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let level = server.ask(Who::Admin, &format!("GET {levels}/small"), &[], b"").await.json();
    let uid = level["metadata"]["uid"].as_str();
    while header(&as_jane(&server).await, "x-kubernetes-pf-prioritylevel-uid") != uid {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    wait_for("upper_limit", 3).await;
    assert_eq!((seats("nominal_limit").await, seats("lower_limit").await), (Some(3), Some(3)));
    // a list of 15 MB wants more seats than the level has, and its client hardly reads it
    let list = async || {
        let mut stream = server.connect(Who::Admin).await;
        let head = "GET /api/v1/configmaps HTTP/1.1\r\nHost: localhost\r\nImpersonate-User: jane\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        hardly_read(stream)
    };
    let first = list().await;
    wait_for("current_executing", 3).await;
    assert_eq!(as_jane(&server).await.code, 429);
    let more = json!({"spec": {"limited": {"borrowingLimitPercent": 100}}}).to_string();
    let merge = "application/merge-patch+json";
    let answer = server.patch(Who::Admin, &format!("{levels}/small"), merge, more.as_bytes()).await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    wait_for("upper_limit", 6).await;
    assert_eq!(as_jane(&server).await.code, 200, "it borrows");
    let second = list().await;
    wait_for("current_executing", 6).await;
    assert_eq!(as_jane(&server).await.code, 429, "it has borrowed as much as it may");
    let lender = server.ask(Who::Admin, "GET /api/v1/namespaces", &[], b"").await;
    assert_eq!(lender.code, 200);
    drop((first, second));
    wait_for("current_executing", 0).await;
    assert_eq!(as_jane(&server).await.code, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_client_hangs_up_leaves_the_queue_and_is_not_begun() {
    let server = Server::start().await;
    let big = "x".repeat(500_000);
    for number in 0..30 {
        let map = json!({"metadata": {"name": format!("m{number}")}, "data": {"k": big}});
        create(&server, "/api/v1/namespaces/default/configmaps", &map).await;
    }
    let queuing = json!({"queues": 1, "handSize": 1, "queueLengthLimit": 10});
    let limited = json!({"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Queue", "queuing": queuing}});
    let level = json!({"metadata": {"name": "small"}, "spec": {"type": "Limited", "limited": limited}});
    let levels = format!("{GROUP}/prioritylevelconfigurations");
    create(&server, &levels, &level).await;
    let_jane_in(&server, "small").await;
    let level = server.ask(Who::Admin, &format!("GET {levels}/small"), &[], b"").await.json();
    let uid = level["metadata"]["uid"].as_str();
    while header(&as_jane(&server).await, "x-kubernetes-pf-prioritylevel-uid") != uid {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = async |what: &str| -> Option<u64> {
        let metrics = server.ask(Who::Admin, "GET /metrics", &[], b"").await.body;
        let line = format!("apiserver_flowcontrol_{what}{{priority_level=\"small\"}} ");
        metrics.lines().find_map(|told| told.strip_prefix(&line)?.parse().ok())
    };
    let wait_for = async |what: &str, number: u64| {
        while told(what).await != Some(number) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait_for("upper_limit_seats", 3).await;
    let ask = async |line: &str| {
        let mut stream = server.connect(Who::Admin).await;
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nImpersonate-User: jane\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    // a list that takes all seats, as its client hardly reads it
    let unread = hardly_read(ask("GET /api/v1/configmaps").await);
    wait_for("current_executing_seats", 3).await;
    let rejected = told("rejected_requests_total").await;
    let waits = ask("DELETE /api/v1/namespaces/default/configmaps/m0").await;
    wait_for("current_inqueue_requests", 1).await;
    drop(waits);
    wait_for("current_inqueue_requests", 0).await;
    assert_eq!(told("rejected_requests_total").await, rejected, "it was there until its time was over");
    drop(unread);
    wait_for("current_executing_seats", 0).await;
    assert!(server.find_config_map("m0").is_some(), "it was deleted for nobody");
}

#[tokio::test]
async fn levels_queues_and_requests_are_dumped_for_who_may_see_them() {
    let server = Server::start().await;
    let dump = "/debug/api_priority_and_fairness";
    let rows = |answer: &Answer| -> Vec<Vec<String>> {
        let cells = |line: &str| line.split(',').map(|cell| cell.trim().to_owned()).collect();
        answer.body.lines().map(cells).collect()
    };
    let levels = async || {
        let answer = server.ask(Who::Admin, &format!("GET {dump}/dump_priority_levels"), &[], b"").await;
        assert_eq!(answer.code, 200);
        rows(&answer)
    };
    // the request itself is one of an administrator's
    let exempt = ["exempt", "0", "false", "false", "0", "1"];
    while !levels().await.iter().any(|row| *row == exempt) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let queues = server.ask(Who::Admin, &format!("GET {dump}/dump_queues"), &[], b"").await;
    let of_default = rows(&queues).into_iter().filter(|row| row[0] == "global-default").count();
    assert_eq!(of_default, 128, "upstream's number of its queues");
    let requests = server.ask(Who::Admin, &format!("GET {dump}/dump_requests"), &[], b"").await;
    assert_eq!(rows(&requests)[0][..2], ["PriorityLevelName", "FlowSchemaName"]);
    for (who, path, code) in [(Who::Nobody, "dump_queues", 403), (Who::Admin, "dump_secrets", 404)] {
        assert_eq!(server.ask(who, &format!("GET {dump}/{path}"), &[], b"").await.code, code, "{path}");
    }
}

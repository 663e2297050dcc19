//! `/metrics`: what requests are counted under, and that the page is one that Prometheus takes.

mod common;

use common::{Server, Who};
use std::collections::{BTreeMap, BTreeSet};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn page(server: &Server) -> String {
    server.ask(Who::Admin, "GET /metrics", &[], b"").await.body
}

#[tokio::test]
async fn requests_are_told_under_what_they_asked_for_and_not_under_what_somebody_makes_up() {
    let server = Server::start().await;
    server.config_map("a").await;
    for (who, line, code) in [
        (Who::Admin, format!("GET {MAPS}"), 200),
        (Who::Admin, format!("GET {MAPS}/a"), 200),
        (Who::Admin, "GET /api/v1/namespaces/default/made-up-things".to_owned(), 404),
        (Who::Nobody, format!("GET {MAPS}/a/made-up-part"), 403),
    ] {
        assert_eq!(server.ask(who, &line, &[], b"").await.code, code, "{line}");
    }
    let dry = format!("{MAPS}?dryRun=All");
    let made = server.post(Who::Admin, &dry, "application/json", br#"{"metadata": {"name": "b"}}"#).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let page = page(&server).await;
    let of = |scope: &str, verb: &str| {
        format!(
            "component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"{scope}\",subresource=\"\",verb=\"{verb}\",version=\"v1\""
        )
    };
    let (list, get, post) = (of("namespace", "LIST"), of("resource", "GET"), of("resource", "POST"));
    for line in [
        format!("apiserver_request_total{{{list},code=\"200\",dry_run=\"\"}} 1"),
        format!("apiserver_request_total{{{post},code=\"201\",dry_run=\"All\"}} 1"),
        format!("apiserver_request_duration_seconds_count{{{get},dry_run=\"\"}} 1"),
        format!("apiserver_request_sli_duration_seconds_count{{{list}}} 1"),
        format!("apiserver_response_sizes_count{{{get}}} 1"),
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1".to_owned(),
    ] {
        assert!(page.lines().any(|told| told == line), "no {line} in {page}");
    }
    let stored = "apiserver_storage_objects{resource=\"configmaps\"} ";
    let stored = page.lines().find_map(|line| line.strip_prefix(stored)?.parse::<u64>().ok());
    assert!(stored > Some(0), "{page}");
    let certificates = "apiserver_client_certificate_expiration_seconds_count ";
    let shown = page.lines().find_map(|line| line.strip_prefix(certificates)?.parse::<u64>().ok());
    assert!(shown > Some(0), "{page}");
    assert!(!page.contains("made-up"), "{page}");
}

#[tokio::test]
async fn prometheus_takes_the_page() {
    let server = Server::start().await;
    server.ask(Who::Admin, &format!("GET {MAPS}"), &[], b"").await;
    let (page, mut types, mut seen) = (page(&server).await, BTreeMap::new(), BTreeSet::new());
    for line in page.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} is told twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series), "{series} has two values");
        let name = series.split_once('{').map_or(series, |(name, _)| name);
        let mut parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|part| name.strip_suffix(part));
        let is_histogram = parts.any(|whole| types.get(whole) == Some(&"histogram"));
        assert!(is_histogram || types.contains_key(name), "{name} has no type");
    }
    assert!(seen.len() > 50, "{page}");
}

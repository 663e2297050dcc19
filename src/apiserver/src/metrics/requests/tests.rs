//! What requests leave in the page, and what of a client never gets there.

use super::*;
use crate::request_info::ParsedPath;

fn labels(method: &str, path: &str, media: &'static str) -> Labels {
    let mut request = Request::for_tests(method, path, "", Vec::new());
    request.headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media));
    let ParsedPath::Resource(info) = ParsedPath::parse(&request.segments) else { panic!("{path}") };
    let verb = Labels::verb(info.verb(&request), &info, &request);
    Labels::of(verb, &info, &kinds::all())
}

#[test]
fn requests_are_counted_under_what_is_served_and_nothing_that_a_client_makes_up() {
    assert!(CODES.is_sorted());
    let json = "application/json";
    for (method, path, media, want) in [
        ("GET", "/api/v1/namespaces/a/pods", json, "LIST v1 pods  namespace"),
        ("GET", "/api/v1/pods", json, "LIST v1 pods  cluster"),
        ("GET", "/api/v1/namespaces/a/pods/p", json, "GET v1 pods  resource"),
        ("GET", "/api/v1/namespaces/a/pods/p/log", json, "GET v1 pods log resource"),
        ("GET", "/api/v1/namespaces/a/pods/p/exec", json, "CONNECT v1 pods exec resource"),
        ("POST", "/api/v1/namespaces/a/pods", json, "POST v1 pods  resource"),
        ("PUT", "/api/v1/namespaces/a/pods/p/status", json, "PUT v1 pods status resource"),
        ("PATCH", "/api/v1/nodes/n", json, "PATCH v1 nodes  resource"),
        ("PATCH", "/api/v1/nodes/n", APPLY_YAML, "APPLY v1 nodes  resource"),
        ("DELETE", "/api/v1/namespaces/a/pods", json, "DELETECOLLECTION v1 pods  namespace"),
        ("GET", "/apis/metrics.k8s.io/v1beta1/nodes", json, "LIST metrics.k8s.io/v1beta1 nodes  cluster"),
        ("TRACE", "/api/v1/nodes/n", json, "other v1 nodes  resource"),
        // made up
        ("GET", "/api/v1/namespaces/a/cats", json, "LIST    "),
        ("GET", "/api/v1/namespaces/a/pods/p/cat", json, "GET    "),
        ("PUT", "/api/v1/namespaces/a/configmaps/c/status", json, "PUT    "),
    ] {
        let Labels { verb, gvr, subresource, scope } = labels(method, path, media);
        let got = format!("{verb} {} {} {subresource} {scope}", gvr.api_version(), gvr.resource);
        assert_eq!(got, want, "{method} {path}");
    }
}

#[test]
fn what_was_counted_is_told() {
    let requests = Requests::default();
    let json = "application/json";
    let list = || labels("GET", "/api/v1/pods", json);
    let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    let ok = Answered { code: 200, took: seconds(0.03), size: Some(5000), ..Answered::default() };
    requests.count(&list(), &ok);
    requests.count(&list(), &Answered { took: seconds(0.7), waited: Duration::from_millis(500), ..ok });
    requests.count(&list(), &Answered { code: 418, took: None, size: None, ..ok });
    let create = labels("POST", "/api/v1/namespaces/a/pods", json);
    requests.count(&create, &Answered { code: 201, is_dry_run: true, ..ok });
    let reading = requests.in_flight(true);
    let text = || {
        let mut out = Exposition::default();
        requests.collect(&mut out);
        out.into_text()
    };
    let told = text();
    let of = "component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"cluster\",subresource=\"\",verb=\"LIST\",version=\"v1\"";
    let of_create = "component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\"";
    for line in [
        format!("apiserver_request_total{{{of},code=\"200\",dry_run=\"\"}} 2\n"),
        format!("apiserver_request_total{{{of},code=\"418\",dry_run=\"\"}} 1\n"),
        format!("apiserver_request_total{{{of_create},code=\"201\",dry_run=\"All\"}} 1\n"),
        format!("apiserver_request_duration_seconds_bucket{{{of},dry_run=\"\",le=\"0.025\"}} 0\n"),
        format!("apiserver_request_duration_seconds_bucket{{{of},dry_run=\"\",le=\"0.05\"}} 1\n"),
        format!("apiserver_request_duration_seconds_count{{{of},dry_run=\"\"}} 2\n"),
        format!("apiserver_request_duration_seconds_count{{{of_create},dry_run=\"All\"}} 1\n"),
        format!("apiserver_request_sli_duration_seconds_bucket{{{of},le=\"0.1\"}} 1\n"),
        format!("apiserver_request_sli_duration_seconds_bucket{{{of},le=\"0.2\"}} 2\n"),
        format!("apiserver_response_sizes_sum{{{of}}} 10000\n"),
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1\n".to_owned(),
    ] {
        assert!(told.contains(&line), "no {line} in {told}");
    }
    let of_writes = format!("apiserver_response_sizes_count{{{of_create}}}");
    assert!(!told.contains(&of_writes), "{told}");
    drop(reading);
    assert!(text().contains("apiserver_current_inflight_requests{request_kind=\"readOnly\"} 0\n"));
}

#[test]
fn watches_are_counted_while_they_are_open() {
    let requests = Requests::default();
    let version = kinds::all().by_gvr(&Gvr::new("", "v1", "pods")).unwrap();
    let watching = requests.watching(&Target::collection(&version, Some("a")));
    let told = |count: u64| {
        let mut out = Exposition::default();
        requests.collect(&mut out);
        let text = out.into_text();
        let line = format!(
            "apiserver_longrunning_requests{{component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"namespace\",subresource=\"\",verb=\"WATCH\",version=\"v1\"}} {count}\n"
        );
        assert!(text.contains(&line), "no {line} in {text}");
    };
    told(1);
    drop(watching);
    told(0);
}

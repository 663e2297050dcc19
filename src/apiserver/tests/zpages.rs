//! What the API server says of itself.

mod common;

use common::{Server, Who};
use serde_json::json;

#[tokio::test]
async fn it_tells_what_it_is_and_how_it_is_set() {
    let server = Server::start().await;
    let of = |media: &str, version: &str, kind: &str| {
        format!("application/{media};v={version};g=config.k8s.io;as={kind}")
    };
    let text = "text/plain; charset=utf-8";
    let exposition = "text/plain; version=0.0.4; charset=utf-8";
    let check = "kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1\n";
    let yaml = "application/yaml;g=config.k8s.io;v=v1beta1;as=Flagz";
    for (path, accept, code, media, want) in [
        ("/statusz", String::new(), 200, text, "\nkube-apiserver statusz\nWarning: "),
        ("/statusz", "*/*".to_owned(), 200, text, "\nBinary version: 1.37.0\n"),
        ("/flagz", "text/plain".to_owned(), 200, text, "\nkube-apiserver flagz\nWarning: "),
        ("/flagz", String::new(), 200, text, "\nsecure-port=8443\n"),
        ("/metrics/slis", String::new(), 200, exposition, check),
        ("/flagz", of("yaml", "v1beta1", "Flagz"), 200, yaml, "kind: Flagz\n"),
        ("/flagz", "application/json".to_owned(), 406, "application/json", "NotAcceptable"),
        ("/statusz", of("json", "v1beta1", "Flagz"), 406, "application/json", "NotAcceptable"),
    ] {
        let answer =
            server.ask(Who::Admin, &format!("GET {path}"), &[("Accept", accept.as_str())], b"").await;
        assert_eq!(answer.code, code, "{path} {accept}: {}", answer.body);
        assert!(answer.head.contains(&format!("content-type: {media}\r\n")), "{path}: {}", answer.head);
        assert!(answer.body.contains(want), "{path} {accept}: {}", answer.body);
        assert_eq!(server.ask(Who::Nobody, &format!("GET {path}"), &[], b"").await.code, 403, "{path}");
    }
    let ask = async |version: &str| {
        let accept = of("json", version, "Statusz");
        server.ask(Who::Admin, "GET /statusz", &[("Accept", accept.as_str())], b"").await
    };
    let status = ask("v1beta1").await;
    assert!(!status.head.contains("warning: "), "{}", status.head);
    let status = status.json();
    assert_eq!(status["kind"], "Statusz");
    assert_eq!(status["apiVersion"], "config.k8s.io/v1beta1");
    let paths = ["/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version"];
    assert_eq!(status["paths"], json!(paths));
    let old = ask("v1alpha1").await;
    let warning =
        "warning: 299 - \"This version of the statusz endpoint is deprecated. Please use a newer version.\"";
    assert!(old.head.contains(warning), "{}", old.head);
}

//! In which forms an answer comes: protobuf, also of watches and of bare metadata, and packed where it is large.

mod common;

use common::{Server, Who};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

#[tokio::test]
async fn a_watch_and_bare_metadata_come_in_protobuf_and_a_table_does_not() {
    let server = Server::start().await;
    server.config_map("one").await;
    let watch = format!("{MAPS}?watch=true&resourceVersion=0&timeoutSeconds=1&allowWatchBookmarks=true");
    let partial = |kind: &str| format!("{PROTOBUF};as={kind};v=v1;g=meta.k8s.io");
    let metadata = partial("PartialObjectMetadata");
    let list = partial("PartialObjectMetadataList");
    let table = partial("Table");
    let cases = [
        ("objects", MAPS, PROTOBUF, 200, vec!["k8s\0", "ConfigMapList", "one"]),
        ("a watch", &watch, PROTOBUF, 200, vec!["ADDED", "k8s\0", "ConfigMap", "one"]),
        (
            "a watch, by its whole name",
            &watch,
            "application/vnd.kubernetes.protobuf;stream=watch",
            200,
            vec!["ADDED"],
        ),
        ("metadata", MAPS, &list, 200, vec!["k8s\0", "PartialObjectMetadataList", "one"]),
        (
            "a watch of metadata",
            &watch,
            &metadata,
            200,
            vec!["ADDED", "k8s\0", "PartialObjectMetadata", "one"],
        ),
        ("a table", MAPS, &table, 406, vec!["only the following media types are accepted"]),
        ("a watch of tables", &watch, &table, 406, vec!["only the following media types are accepted"]),
    ];
    for (name, path, accept, code, found) in cases {
        let answer = server.ask(Who::Admin, &format!("GET {path}"), &[("Accept", accept)], b"").await;
        assert_eq!(answer.code, code, "{name}");
        assert!(answer.head.contains(PROTOBUF) || code == 406, "{name}: {}", answer.head);
        for text in found {
            assert!(answer.body.contains(text), "{name}: no {text:?}");
        }
        let is_stream = answer.head.contains(";stream=watch");
        assert_eq!(is_stream, code == 200 && path.contains("watch"), "{name}: {}", answer.head);
    }
}

#[tokio::test]
async fn the_first_format_that_there_is_of_those_a_client_takes_is_answered() {
    let server = Server::start().await;
    server.config_map("one").await;
    let (one, none) = (format!("{MAPS}/one"), format!("{MAPS}/none"));
    let watch = format!("{MAPS}?watch=true&resourceVersion=0&timeoutSeconds=1");
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (of_go, of_people) = (format!("{PROTOBUF},application/json"), "application/json, */*;q=0.1");
    let table =
        format!("{PROTOBUF};as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io");
    let cases = [
        ("an object", one.as_str(), of_go.as_str(), 200, true),
        ("a list", MAPS, &of_go, 200, true),
        ("a kind without messages", definitions, &of_go, 200, false),
        ("a kind without messages, for who reads nothing else", definitions, PROTOBUF, 406, true),
        ("a refusal", &none, &of_go, 404, true),
        ("a watch", &watch, &of_go, 200, true),
        ("a watch in YAML, which has no frames", &watch, "application/yaml", 406, false),
        ("a watch, YAML first", &watch, "application/yaml, application/json", 200, false),
        ("a table", MAPS, &table, 200, false),
        ("JSON first", &one, "application/json,application/vnd.kubernetes.protobuf", 200, false),
        ("JSON dearer", &one, "application/vnd.kubernetes.protobuf;q=0.5,application/json", 200, false),
        ("anything", &one, of_people, 200, false),
        ("what has one format", "/version", &of_go, 200, false),
        ("what has one format, for who takes another", "/version", PROTOBUF, 200, false),
    ];
    for (name, path, accept, code, is_binary) in cases {
        let answer = server.ask(Who::Admin, &format!("GET {path}"), &[("Accept", accept)], b"").await;
        assert_eq!(answer.code, code, "{name}: {}", answer.body);
        assert_eq!(answer.head.contains(PROTOBUF), is_binary, "{name}: {}", answer.head);
        assert_eq!(answer.body.contains("k8s\0"), is_binary, "{name}");
    }
}

#[tokio::test]
async fn what_there_is_not_is_not_acceptable() {
    let server = Server::start().await;
    server.config_map("one").await;
    let one = format!("{MAPS}/one");
    let partial = |kind: &str| format!("application/json;as={kind};v=v1;g=meta.k8s.io");
    let (object, list) = (partial("PartialObjectMetadata"), partial("PartialObjectMetadataList"));
    let cases = [
        ("a page", "GET", one.as_str(), "text/html", 406),
        ("a browser's page", "GET", one.as_str(), "text/html, */*;q=0.8", 200),
        ("a list as one", "GET", MAPS, object.as_str(), 406),
        ("one as a list", "GET", one.as_str(), list.as_str(), 406),
        ("one as one", "GET", one.as_str(), object.as_str(), 200),
        ("a deletion", "DELETE", one.as_str(), "text/html", 406),
    ];
    for (name, method, path, accept, code) in cases {
        let answer = server.ask(Who::Admin, &format!("{method} {path}"), &[("Accept", accept)], b"").await;
        assert_eq!(answer.code, code, "{name}: {}", answer.body);
    }
    assert!(server.find_config_map("one").is_some(), "what is refused is not done");
}

#[tokio::test]
async fn json_is_indented_for_people() {
    let server = Server::start().await;
    server.config_map("one").await;
    let (one, watch) =
        (format!("{MAPS}/one?pretty=true"), format!("{MAPS}?watch=true&timeoutSeconds=1&pretty=true"));
    let (map, event) = ("{\n  \"", "{\"type\":\"ADDED\",\"object\":{\"");
    let curl = [("User-Agent", "curl/8.5.0")];
    let cases: [(&str, &str, &[(&str, &str)], &str); 5] = [
        ("who asks", &one, &[], map),
        ("curl", MAPS, &curl, map),
        ("curl, of what is not there", "/api/v1/namespaces/default/configmaps/none", &curl, map),
        ("a program", MAPS, &[], "{\"kind\":\"ConfigMapList\","),
        ("a watch", &watch, &curl, event),
    ];
    for (name, path, headers, want) in cases {
        let answer = server.ask(Who::Admin, &format!("GET {path}"), headers, b"").await;
        // a watch comes in chunks
        let is_so =
            if name == "a watch" { answer.body.contains(want) } else { answer.body.starts_with(want) };
        assert!(is_so, "{name}: {}", answer.body);
    }
    let shown = server.ask(Who::Admin, &format!("GET {one}"), &[], b"").await;
    assert_eq!(shown.json()["metadata"]["name"], "one", "{}", shown.body);
}

#[tokio::test]
async fn yaml_is_answered_to_who_asks_for_it() {
    let server = Server::start().await;
    server.config_map("one").await;
    let (one, none, watch) = (format!("{MAPS}/one"), format!("{MAPS}/none"), format!("{MAPS}?watch=true"));
    let cases = [
        ("an object", one.as_str(), "application/yaml", 200, "kind: ConfigMap\n"),
        ("a list", MAPS, "application/yaml", 200, "\n- apiVersion: v1\n"),
        ("discovery", "/apis", "application/yaml", 200, "kind: APIGroupList\n"),
        ("a table", MAPS, "application/yaml;as=Table;v=v1;g=meta.k8s.io", 200, "kind: Table\n"),
        ("a refusal", none.as_str(), "application/yaml", 404, "reason: NotFound\n"),
        ("a watch", watch.as_str(), "application/yaml", 406, "only the following media types are accepted"),
        ("either", one.as_str(), "application/yaml, application/json;q=0.5", 200, "kind: ConfigMap\n"),
        ("JSON", one.as_str(), "application/json, application/yaml", 200, "\"kind\":\"ConfigMap\""),
    ];
    for (name, path, accept, code, words) in cases {
        let answer = server.ask(Who::Admin, &format!("GET {path}"), &[("Accept", accept)], b"").await;
        assert_eq!(answer.code, code, "{name}: {}", answer.body);
        assert!(answer.body.contains(words), "{name}: {}", answer.body);
        let is_yaml = answer.head.contains("application/yaml");
        assert_eq!(is_yaml, name != "JSON", "{name}: {}", answer.head);
    }
}

#[tokio::test]
async fn what_is_large_is_packed_for_who_takes_it() {
    let server = Server::start().await;
    server.config_map("small").await;
    let large = format!(r#"{{"metadata":{{"name":"large"}},"data":{{"k":"{}"}}}}"#, "x".repeat(200_000));
    assert_eq!(server.post(Who::Admin, MAPS, "application/json", large.as_bytes()).await.code, 201);
    let (small, one) = (format!("{MAPS}/small"), format!("{MAPS}/large"));
    for (path, encoding, packed) in [
        (MAPS, "gzip", true),
        (&one, "gzip, deflate", true),
        (&one, "identity", false),
        (&one, "gzip;q=0", false),
        (&small, "gzip", false),
    ] {
        let headers = [("Accept-Encoding", encoding), ("Accept", "application/json")];
        let answer = server.ask(Who::Admin, &format!("GET {path}"), &headers, b"").await;
        let head = answer.head.to_lowercase();
        assert_eq!(
            (answer.code, head.contains("content-encoding: gzip")),
            (200, packed),
            "{path} {encoding}"
        );
        assert_eq!(packed, answer.body.len() < 10_000 && path != small, "{path} {encoding}");
    }
    let both = [("Accept-Encoding", "gzip"), ("Accept", PROTOBUF)];
    let answer = server.ask(Who::Admin, &format!("GET {one}"), &both, b"").await;
    assert!(answer.head.contains(PROTOBUF) && answer.head.to_lowercase().contains("content-encoding: gzip"));
}

#[tokio::test]
async fn all_of_discovery_comes_in_one_document_of_each_format() {
    let server = Server::start().await;
    let of_kind = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (path, format, found) in [
        ("/apis", "application/json", &["deployments", "Current"][..]),
        ("/apis", "application/yaml", &["kind: APIGroupDiscoveryList\n", "deployments"]),
        ("/apis", PROTOBUF, &["k8s\0", "apidiscovery.k8s.io/v2", "deployments", "Namespaced", "Current"]),
        ("/api", PROTOBUF, &["k8s\0", "configmaps", "ConfigMap"]),
    ] {
        let media = format!("{format}{of_kind}");
        let answer = server.ask(Who::Admin, &format!("GET {path}"), &[("Accept", media.as_str())], b"").await;
        assert_eq!(answer.code, 200, "{path} {format}: {}", answer.body);
        assert!(answer.head.contains(&format!("content-type: {media}\r\n")), "{format}: {}", answer.head);
        for text in found {
            assert!(answer.body.contains(text), "{path} {format}: no {text:?}");
        }
    }
}

#[tokio::test]
async fn who_has_the_discovery_document_is_not_sent_it_again() {
    let server = Server::start().await;
    let accept = ("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let first = server.ask(Who::Admin, "GET /apis", &[accept], b"").await;
    let mut lines = first.head.lines().filter_map(|line| line.split_once(": "));
    let etag = lines.find(|(name, _)| name.eq_ignore_ascii_case("etag")).unwrap().1;
    assert_eq!((first.code, first.json()["kind"].as_str()), (200, Some("APIGroupDiscoveryList")));
    let again = server.ask(Who::Admin, "GET /apis", &[accept, ("If-None-Match", etag)], b"").await;
    assert_eq!((again.code, again.body.as_str()), (304, ""));
    let other = server.ask(Who::Admin, "GET /api", &[accept, ("If-None-Match", etag)], b"").await;
    assert_eq!(other.code, 200);
}

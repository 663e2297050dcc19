//! Custom objects that a webhook converts are selected by the labels and fields of the version that is asked for.

use api::{FieldSelector, LabelSelector, Status};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{
    Actor, Cluster, DeleteOptions, ListParams, Target, Verb, WatchEvent, WatchParams, WebhookCaller,
    WriteOptions,
};
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::{FieldValidation, Version};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Version 1, which is stored, has `hostPort`, version 2 has `host` and `port`, and the host as the label `at` too.
#[derive(Default)]
struct Converter {
    /// The names of the objects of each review.
    asked: Mutex<Vec<Vec<String>>>,
    is_silent: AtomicBool,
}

#[async_trait]
impl WebhookCaller for Converter {
    async fn post(
        &self,
        _: &Cluster,
        _: &WebhookClientConfig,
        _: &str,
        review: Vec<u8>,
    ) -> Result<Bytes, String> {
        if self.is_silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let review: Value = serde_json::from_slice(&review).unwrap();
        let request = &review["request"];
        let objects = request["objects"].as_array().unwrap();
        let names = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned());
        self.asked.lock().unwrap().push(names.collect());
        let converted: Result<Vec<Value>, String> =
            objects.iter().map(|object| converted(object, &request["desiredAPIVersion"])).collect();
        let response =
            json!({"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted?});
        let answer =
            json!({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response});
        Ok(answer.to_string().into_bytes().into())
    }
}

fn converted(object: &Value, wanted: &Value) -> Result<Value, String> {
    let mut object = object.clone();
    if object["metadata"]["name"] == "broken" {
        return Err("it can not be".to_owned());
    }
    object["apiVersion"] = wanted.clone();
    let fields = object.as_object_mut().unwrap();
    if let Some(both) = fields.remove("hostPort") {
        let (host, port) = both.as_str().unwrap().split_once(':').unwrap();
        fields["metadata"]["labels"]["at"] = host.into();
        fields.extend([("host".to_owned(), host.into()), ("port".to_owned(), port.into())]);
    } else if let (Some(host), Some(port)) = (fields.remove("host"), fields.remove("port")) {
        let both = format!("{}:{}", host.as_str().unwrap(), port.as_str().unwrap());
        fields.insert("hostPort".to_owned(), both.into());
        fields["metadata"]["labels"].as_object_mut().unwrap().remove("at");
    }
    Ok(object)
}

fn definition() -> CustomResourceDefinition {
    let version = |name: &str, fields: &[&str]| {
        let properties: serde_json::Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
        let selectable: Vec<Value> =
            fields.iter().map(|field| json!({"jsonPath": format!(".{field}")})).collect();
        json!({"name": name, "served": true, "storage": name == "v1", "selectableFields": selectable,
               "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}})
    };
    let definition = json!({
        "metadata": {"name": "places.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "places", "kind": "Place", "listKind": "PlaceList", "singular": "place"},
            "versions": [version("v1", &["hostPort"]), version("v2", &["host", "port"])],
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": {"url": "https://converter/"}, "conversionReviewVersions": ["v1"]}},
        },
    });
    serde_json::from_value(definition).unwrap()
}

struct Lab {
    cluster: Cluster,
    converter: Arc<Converter>,
}

impl Lab {
    async fn new() -> Lab {
        let cluster = testkit::cluster(testkit::config()).await;
        let converter = Arc::new(Converter::default());
        cluster.call_webhooks_through(converter.clone());
        cluster.serve_custom_kinds(apiextensions::kinds_of(&definition()).unwrap());
        Lab { cluster, converter }
    }

    /// With these, each a name and a host with its port; the name is a label too.
    async fn with(places: &[(&str, &str)]) -> Lab {
        let lab = Lab::new().await;
        for (name, place) in places {
            lab.put(name, place).await;
        }
        lab.asked();
        lab
    }

    fn version(&self, version: &'static str) -> Arc<Version> {
        self.cluster.registry().by_gvr(&api::Gvr::new("example.com", version, "places")).unwrap()
    }

    fn all(&self, version: &'static str) -> Target {
        Target::collection(&self.version(version), Some("default"))
    }

    /// Creates it, or gives it another place.
    async fn put(&self, name: &str, place: &str) {
        let version = self.version("v1");
        let object = json!({"apiVersion": "example.com/v1", "kind": "Place", "hostPort": place,
                            "metadata": {"name": name, "namespace": "default", "labels": {"name": name}}});
        let new = version.decode(object.to_string().as_bytes(), FieldValidation::Strict).unwrap().instance;
        let (root, options) = (Actor::root(), WriteOptions::default());
        let one = Target::object(&version, Some("default"), name);
        let written = match self.cluster.get(&root, &one) {
            Ok(_) => {
                let change = |_: &api::Object| Ok(new.clone_box());
                self.cluster.modify(&root, &one, Verb::Update, &options, &change).await
            }
            Err(_) => self.cluster.create(&root, &self.all("v1"), new, &options).await,
        };
        written.unwrap();
    }

    async fn delete(&self, name: &str) {
        let one = Target::object(&self.version("v1"), Some("default"), name);
        self.cluster.delete(&Actor::root(), &one, &DeleteOptions::default()).await.unwrap();
    }

    /// `NAME HOST:PORT` of each, which must be of version 2; or why there is none.
    async fn found(&self, params: &ListParams) -> Result<String, Status> {
        let list = self.cluster.list_in_version(&Actor::root(), &self.all("v2"), params).await?;
        Ok(list.objects.iter().map(shown).collect::<Vec<_>>().join(", "))
    }

    fn watch(&self, fields: &str, send_initial_events: bool) -> cluster::WatchStream {
        self.watch_by("", fields, send_initial_events)
    }

    fn watch_by(&self, labels: &str, fields: &str, send_initial_events: bool) -> cluster::WatchStream {
        let ListParams { labels, fields, .. } = by(labels, fields);
        let params = WatchParams { labels, fields, send_initial_events, ..WatchParams::default() };
        self.cluster.watch_in_version(&Actor::root(), &self.all("v2"), &params).unwrap()
    }

    fn asked(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *self.converter.asked.lock().unwrap())
    }
}

fn shown(object: &api::Object) -> String {
    let value: Value = object.decode().unwrap();
    assert_eq!(value["apiVersion"], "example.com/v2");
    assert_eq!(value["metadata"]["resourceVersion"], object.revision().to_string());
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    format!("{} {}:{}", object.meta().name, text("host"), text("port"))
}

fn by(labels: &str, fields: &str) -> ListParams {
    ListParams {
        labels: LabelSelector::parse(labels).unwrap(),
        fields: FieldSelector::parse(fields).unwrap(),
        ..ListParams::default()
    }
}

/// All that is told until nothing more happens.
async fn told(events: &mut cluster::WatchStream) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(1), events.next()).await {
        told.push(match event.unwrap() {
            WatchEvent::Added(object) => format!("added {}", shown(&object)),
            WatchEvent::Modified(object) => format!("modified {}", shown(&object)),
            WatchEvent::Deleted(object) => format!("deleted {}", shown(&object)),
            WatchEvent::InitialEventsEnd(_) => "all that existed".to_owned(),
        });
    }
    told
}

const PLACES: &[(&str, &str)] = &[("a", "one:80"), ("b", "one:81"), ("c", "two:80"), ("d", "one:80")];

#[tokio::test]
async fn a_list_selects_by_the_labels_and_fields_of_its_version() {
    let lab = Lab::with(PLACES).await;
    let cases = [
        ("", "host=one", "a one:80, b one:81, d one:80"),
        ("", "host=one,port=80", "a one:80, d one:80"),
        ("", "host!=one", "c two:80"),
        ("name=d", "port=80", "d one:80"),
        ("at=one", "", "a one:80, b one:81, d one:80"),
        ("at=one", "port=81", "b one:81"),
        ("at notin (one)", "", "c two:80"),
        ("!at", "", ""),
        ("", "metadata.name=c,host=one", ""),
    ];
    for (labels, fields, want) in cases {
        assert_eq!(lab.found(&by(labels, fields)).await.unwrap(), want, "{labels} {fields}");
    }
    let stored = lab.cluster.list(&Actor::root(), &lab.all("v1"), &by("", "hostPort=one:80")).unwrap();
    assert_eq!(stored.objects.len(), 2);
    let stored =
        lab.cluster.list_in_version(&Actor::root(), &lab.all("v1"), &by("!at,name!=b", "")).await.unwrap();
    assert_eq!(stored.objects.len(), 3, "the version that is stored has its own labels");
    let why = lab.found(&by("", "hostPort=one:80")).await.unwrap_err();
    assert_eq!(why.message, "field label not supported: hostPort");
}

#[tokio::test]
async fn what_a_name_rules_out_is_not_converted() {
    let lab = Lab::with(PLACES).await;
    let cases: [(&str, &str, &[&str]); 4] = [
        ("", "host=two", &["a", "b", "c", "d"]),
        ("at=two", "", &["a", "b", "c", "d"]),
        ("", "metadata.name=c", &["c"]),
        ("at=one", "metadata.name!=a,host=one", &["b", "c", "d"]),
    ];
    for (labels, fields, want) in cases {
        lab.found(&by(labels, fields)).await.unwrap();
        assert_eq!(lab.asked(), [want], "{labels} {fields}");
    }
    let stored = by("name", "hostPort=one:80");
    lab.cluster.list_in_version(&Actor::root(), &lab.all("v1"), &stored).await.unwrap();
    assert!(lab.asked().is_empty(), "what is of the version already is not sent");
}

#[tokio::test]
async fn pages_are_of_what_is_selected() {
    let lab = Lab::with(PLACES).await;
    let mut params = ListParams { limit: 2, ..by("", "host=one") };
    let mut pages = Vec::new();
    loop {
        let page = lab.cluster.list_in_version(&Actor::root(), &lab.all("v2"), &params).await.unwrap();
        assert_eq!(page.remaining, None);
        pages.push(page.objects.iter().map(shown).collect::<Vec<_>>().join(", "));
        params.continue_token = page.continue_token;
        if params.continue_token.is_none() {
            break;
        }
        // what changes between the pages is in none of them
        lab.put("d", "two:80").await;
    }
    assert_eq!(pages, ["a one:80, b one:81", "d one:80"]);
}

#[tokio::test]
async fn a_collection_is_deleted_by_the_labels_and_fields_of_its_version() {
    let lab = Lab::with(PLACES).await;
    let (root, options) = (Actor::root(), DeleteOptions::default());
    let selected = by("at=one", "port=80");
    let deleted = lab.cluster.delete_collection(&root, &lab.all("v2"), &selected, &options).await.unwrap();
    assert_eq!(deleted.objects.iter().map(shown).collect::<Vec<_>>(), ["a one:80", "d one:80"]);
    assert_eq!(lab.found(&ListParams::default()).await.unwrap(), "b one:81, c two:80");
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_begins_and_ceases_to_be_selected() {
    let lab = Lab::with(PLACES).await;
    let mut events = lab.watch("host=one,port=80", true);
    assert_eq!(told(&mut events).await, ["added a one:80", "added d one:80", "all that existed"]);
    lab.put("b", "one:80").await;
    lab.put("a", "two:80").await;
    lab.put("c", "two:81").await;
    lab.put("new", "one:80").await;
    lab.delete("c").await;
    lab.delete("d").await;
    let want = ["added b one:80", "deleted a two:80", "added new one:80", "deleted d one:80"];
    assert_eq!(told(&mut events).await, want);
    assert_eq!(events.progress(), Some(lab.cluster.store().revision()));
}

#[tokio::test(start_paused = true)]
async fn a_watch_looks_at_the_labels_of_its_version() {
    let lab = Lab::with(PLACES).await;
    let mut events = lab.watch_by("at=two", "", true);
    assert_eq!(told(&mut events).await, ["added c two:80", "all that existed"]);
    lab.put("a", "two:81").await;
    lab.put("a", "two:82").await;
    lab.put("b", "one:82").await;
    lab.put("c", "one:80").await;
    lab.delete("a").await;
    let want = ["added a two:81", "modified a two:82", "deleted c one:80", "deleted a two:82"];
    assert_eq!(told(&mut events).await, want);
}

#[tokio::test(start_paused = true)]
async fn a_watch_has_what_is_there_converted_at_once() {
    let lab = Lab::with(PLACES).await;
    let mut events = lab.watch("metadata.name!=c,host=one", false);
    told(&mut events).await;
    assert_eq!(lab.asked(), [["a", "b", "d"]], "what existed");
    lab.put("a", "one:82").await;
    lab.put("c", "one:80").await;
    lab.put("b", "one:83").await;
    assert_eq!(told(&mut events).await, ["modified a one:82", "modified b one:83"]);
    assert_eq!(lab.asked(), [["a", "a", "b", "b"]], "each as it is and as it was");
    let mut events = lab.watch("metadata.name=a", false);
    lab.put("a", "one:84").await;
    assert_eq!(told(&mut events).await, ["added a one:82", "modified a one:84"]);
    assert_eq!(lab.asked(), [["a", "a"]], "by its name alone it does not matter what it was");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_webhook_that_is_given_up_loses_nothing() {
    let lab = Lab::with(&[("a", "one:80")]).await;
    let mut events = lab.watch("host=one", true);
    lab.converter.is_silent.store(true, Ordering::Relaxed);
    assert!(told(&mut events).await.is_empty());
    assert_eq!(events.progress(), None, "a bookmark would say that it has been told");
    lab.converter.is_silent.store(false, Ordering::Relaxed);
    assert_eq!(told(&mut events).await, ["added a one:80", "all that existed"]);
}

#[tokio::test]
async fn a_webhook_that_fails_fails_lists_and_watches() {
    let lab = Lab::with(&[("a", "one:80"), ("broken", "one:80")]).await;
    let want = "conversion webhook for example.com/v1, Kind=Place failed: Post \"https://converter/?timeout=30s\": it can not be";
    assert_eq!(lab.found(&by("", "host=one")).await.unwrap_err().message, want);
    assert_eq!(lab.found(&by("at=one", "")).await.unwrap_err().message, want);
    assert_eq!(lab.found(&by("at=one", "metadata.name=a,host=one")).await.unwrap(), "a one:80");
    assert_eq!(lab.watch("host=one", false).next().await.unwrap_err().message, want);
    let from_now = WatchParams {
        fields: FieldSelector::parse("host=one").unwrap(),
        resource_version: Some(lab.cluster.store().revision()),
        ..WatchParams::default()
    };
    let mut events = lab.cluster.watch_in_version(&Actor::root(), &lab.all("v2"), &from_now).unwrap();
    lab.put("a", "one:81").await;
    let event = events.next().await.unwrap();
    assert!(matches!(&event, WatchEvent::Modified(object) if shown(object) == "a one:81"), "{event:?}");
}

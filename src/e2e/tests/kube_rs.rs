//! kube-rs, with which operators are written in Rust: one that goes on while the server restarts, and what else its users do.

mod common;
#[path = "kube_rs/operator.rs"]
mod operator;

use common::https::serve;
use common::{Appliance, appliance};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{
    ApiResource, AttachParams, DeleteParams, DynamicObject, EvictParams, ListParams, LogParams, Patch,
    PatchParams, PostParams, TerminalSize, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use kube::core::{Expression, PartialObjectMeta, Selector};
use kube::discovery::{Discovery, Scope, verbs};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Api, Client, Config, CustomResourceExt, ResourceExt};
use operator::{DIRECTORY, FINALIZER, NAME, Site, SiteSpec};
use serde_json::json;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const DEFAULT: &str = "default";
/// Long enough for a loaded machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// With threads of this test's own, which are in its network.
fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

async fn client(at: &Appliance) -> Client {
    let kubeconfig = Kubeconfig::read_from(at.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Looks again until it sees something, and returns that.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn in_time<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// The server must refuse it so.
fn refused<T>(outcome: kube::Result<T>, code: u16, words: &str) {
    match outcome {
        Err(kube::Error::Api(status)) => {
            assert!(status.code == code && status.message.contains(words), "{status:?}")
        }
        Err(error) => panic!("wanted {code}: {error}"),
        Ok(_) => panic!("was not refused with {code}: {words}"),
    }
}

#[test]
fn an_operator_follows_its_objects_over_a_restart() {
    let Some(at) = appliance("kube-operator") else { return };
    at.load_busybox();
    block_on(async {
        let client = client(&at).await;
        define(&client).await;
        elect(&client).await;
        let directory: ConfigMap = serde_json::from_value(json!({"metadata": {"name": DIRECTORY}})).unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), DEFAULT);
        maps.create(&PostParams::default(), &directory).await.unwrap();
        tokio::select! {
            () = operator::run(client.clone(), DEFAULT) => panic!("the controller ended"),
            () = operate(&at, &client) => {}
        }
    });
}

/// The kind is applied, changed by another apply, and served.
async fn define(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(NAME).force();
    let name = Site::crd_name();
    definitions.patch(name, &params, &Patch::Apply(Site::crd())).await.unwrap();
    let established = await_condition(definitions.clone(), name, conditions::is_crd_established());
    in_time("the definition is established", established).await.unwrap();
    let again = definitions.patch(name, &params, &Patch::Apply(Site::crd())).await.unwrap();
    assert_eq!(again.metadata.generation, Some(1), "applied twice is applied once");
    let sites: Api<Site> = Api::namespaced(client.clone(), DEFAULT);
    let no_text = Site::new("wrong", SiteSpec { text: String::new(), replicas: 9 });
    let outcome = sites.create(&PostParams::default(), &no_text).await;
    refused(
        outcome,
        422,
        "spec.replicas: Invalid value: 9: spec.replicas in body should be less than or equal to 5",
    );
}

/// Of two replicas one leads, until it lets go.
async fn elect(client: &Client) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), DEFAULT);
    let (a, b) = tokio::join!(operator::lead(&leases, "a"), operator::lead(&leases, "b"));
    let (leads, other) = match (a.unwrap(), b.unwrap()) {
        (true, false) => ("a", "b"),
        (false, true) => ("b", "a"),
        both => panic!("{both:?}"),
    };
    assert!(operator::lead(&leases, leads).await.unwrap(), "who leads renews");
    assert!(!operator::lead(&leases, other).await.unwrap());
    let mut held = leases.get(NAME).await.unwrap();
    held.spec.as_mut().unwrap().holder_identity = Some(String::new());
    let stale = held.clone();
    leases.replace(NAME, &PostParams::default(), &held).await.unwrap();
    let outcome = leases.replace(NAME, &PostParams::default(), &stale).await;
    refused(outcome, 409, "the object has been modified; please apply your changes to the latest version");
    assert!(operator::lead(&leases, other).await.unwrap());
    let lease = leases.get(NAME).await.unwrap().spec.unwrap();
    assert_eq!((lease.holder_identity.as_deref(), lease.lease_transitions), (Some(other), Some(1)));
}

async fn operate(at: &Appliance, client: &Client) {
    let sites: Api<Site> = Api::namespaced(client.clone(), DEFAULT);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), DEFAULT);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), DEFAULT);
    let served = async |ready: i32, generation: i64| {
        let what = format!("{ready} servers show generation {generation}");
        until(&what, async || {
            let status = sites.get_opt("home").await.ok()??.status?;
            (status.ready == ready && status.observed_generation == Some(generation)).then_some(())
        })
        .await
    };
    let site = Site::new("home", SiteSpec { text: "hello".to_owned(), replicas: 2 });
    sites.create(&PostParams::default(), &site).await.unwrap();
    served(2, 1).await;
    let made = sites.get("home").await.unwrap();
    assert_eq!(made.finalizers(), [FINALIZER]);
    // the status is no change of what is wanted, nor is the finalizer
    assert_eq!(made.metadata.generation, Some(1));
    let owner = maps.get("home").await.unwrap().owner_references().first().cloned().unwrap();
    assert_eq!((owner.kind.as_str(), owner.controller), ("Site", Some(true)));
    let selected = sites.list(&ListParams::default().fields("spec.text=hello")).await.unwrap();
    assert_eq!(selected.items.len(), 1);
    assert!(at.kubectl(&["get", "st"]).ok("by its short name").contains("home   2"));
    // what it owns and somebody else removes comes back
    let uid = maps.get("home").await.unwrap().uid();
    maps.delete("home", &DeleteParams::default()).await.unwrap();
    until("the page is back", async || (maps.get_opt("home").await.ok()??.uid() != uid).then_some(())).await;
    // by its scale, as an autoscaler does
    let scale = json!({"spec": {"replicas": 1}});
    sites.patch_scale("home", &PatchParams::default(), &Patch::Merge(scale)).await.unwrap();
    served(1, 2).await;

    // its watches break off, and what they have seen is forgotten by the server that comes back
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start");
    let text = json!({"spec": {"text": "hello again"}});
    // a connection of before may be found closed only when it is used; asked twice it is the same change
    until("the server takes changes again", async || {
        sites.patch("home", &PatchParams::default(), &Patch::Merge(&text)).await.ok()
    })
    .await;
    served(1, 3).await;
    let page = maps.get("home").await.unwrap().data.unwrap();
    assert_eq!(page["index.html"], "hello again");

    let uid = made.uid().unwrap();
    sites.delete("home", &DeleteParams::default()).await.unwrap();
    let gone = await_condition(sites.clone(), "home", conditions::is_deleted(&uid));
    in_time("the finalizer lets it go", gone).await.unwrap();
    let listed = maps.get(DIRECTORY).await.unwrap().data.unwrap_or_default();
    assert!(listed.is_empty(), "{listed:?}");
    until("what it owned is collected", async || {
        let (map, deployment) = (maps.get_opt("home").await.ok()?, deployments.get_opt("home").await.ok()?);
        (map.is_none() && deployment.is_none()).then_some(())
    })
    .await;
    let events: Api<Event> = Api::namespaced(client.clone(), DEFAULT);
    let told = events.list(&ListParams::default()).await.unwrap().items;
    let mut reasons: Vec<&str> = told
        .iter()
        .filter(|event| event.reporting_controller.as_deref() == Some(NAME))
        .filter(|event| event.regarding.as_ref().and_then(|of| of.uid.as_deref()) == Some(&*uid))
        .filter_map(|event| event.reason.as_deref())
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons, ["Served", "Unlisted"]);
}

#[test]
fn everyday_calls() {
    let Some(at) = appliance("kube-rs") else { return };
    at.load_busybox();
    block_on(async {
        let client = client(&at).await;
        what_is_served(&client).await;
        objects(&client).await;
        watches(&client).await;
        workloads(&client).await;
        streams(&client).await;
        reviews(&at, &client).await;
    });
}

/// What `kubectl get all` would be, if it got all.
async fn what_is_served(client: &Client) {
    let version = client.apiserver_version().await.unwrap();
    assert!(version.git_version.starts_with("v1."), "{version:?}");
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let mut kinds = 0;
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if capabilities.supports_operation(verbs::LIST) {
                let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                all.list(&ListParams::default()).await.unwrap_or_else(|e| panic!("{resource:?}: {e}"));
                kinds += 1;
            }
        }
    }
    assert!(kinds > 50, "{kinds} kinds");
    let (deployments, capabilities) = discovery
        .groups_alphabetical()
        .into_iter()
        .find(|g| g.name() == "apps")
        .unwrap()
        .recommended_kind("Deployment")
        .unwrap();
    assert_eq!(capabilities.scope, Scope::Namespaced);
    let parts: Vec<&str> = capabilities.subresources.iter().map(|(part, _)| part.plural.as_str()).collect();
    assert_eq!(parts, ["scale", "status"], "{deployments:?}");
}

async fn objects(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "calls"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    refused(namespaces.create(&PostParams::default(), &namespace).await, 409, "already exists");

    // of a kind that the program does not know
    let resource = ApiResource::erase::<ConfigMap>(&());
    let dynamic: Api<DynamicObject> = Api::namespaced_with(client.clone(), "calls", &resource);
    for number in 0..5 {
        let object = DynamicObject::new(&format!("map-{number}"), &resource)
            .data(json!({"data": {"number": number.to_string()}}));
        let params = PostParams { dry_run: number == 4, ..PostParams::default() };
        dynamic.create(&params, &object).await.unwrap();
    }
    let labels = json!({"metadata": {"labels": {"even": "yes"}}});
    for name in ["map-0", "map-2"] {
        dynamic.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "calls");
    let even = Selector::from_iter([Expression::Equal("even".into(), "yes".into())]);
    assert_eq!(maps.list(&ListParams::default().labels_from(&even)).await.unwrap().items.len(), 2);
    let (mut names, mut page) =
        (Vec::new(), ListParams::default().limit(2).fields("metadata.name!=kube-root-ca.crt"));
    loop {
        let list = maps.list_metadata(&page).await.unwrap();
        assert!(list.items.len() <= 2);
        names.extend(list.items.iter().map(|meta| meta.name_any()));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, ["map-0", "map-1", "map-2", "map-3"]);

    let mut entry = maps.entry("map-9").await.unwrap().or_insert(ConfigMap::default);
    entry.get_mut().data.get_or_insert_default().insert("made".into(), "here".into());
    entry.commit(&PostParams::default()).await.unwrap();
    // two who apply hear of each other
    let apply = async |manager: &str, value: &str, force: bool| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"key": value}});
        let params = PatchParams { force, ..PatchParams::apply(manager) };
        maps.patch("shared", &params, &Patch::Apply(map)).await
    };
    apply("one", "a", false).await.unwrap();
    refused(apply("two", "b", false).await, 409, "conflict with \"one\": .data.key");
    apply("two", "b", true).await.unwrap();
    refused(maps.get("nothing").await, 404, "configmaps \"nothing\" not found");
    let gone = maps
        .delete_collection(&DeleteParams::default(), &ListParams::default().labels("even=yes"))
        .await
        .unwrap();
    gone.map_left(|list| assert_eq!(list.items.len(), 2)).map_right(|status| assert!(status.is_success()));
}

/// All that is there, the end of it, and then what changes: by streaming lists, and of metadata alone.
async fn watches(client: &Client) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "calls");
    let config = || watcher::Config::default().fields("metadata.name=map-1").streaming_lists();
    let mut whole = Box::pin(watcher(maps.clone(), config()));
    let mut metadata =
        Box::pin(watcher(Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), "calls"), config()));
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(match in_time("an event", whole.next()).await.unwrap().unwrap() {
            watcher::Event::Init => "init".to_owned(),
            watcher::Event::InitApply(map) => format!("has {}", map.name_any()),
            watcher::Event::InitDone => "done".to_owned(),
            other => panic!("{other:?}"),
        });
        in_time("an event of metadata", metadata.next()).await.unwrap().unwrap();
    }
    assert_eq!(told, ["init", "has map-1", "done"]);
    let change = json!({"data": {"number": "one"}});
    maps.patch("map-1", &PatchParams::default(), &Patch::Strategic(change)).await.unwrap();
    match in_time("the change", whole.next()).await.unwrap().unwrap() {
        watcher::Event::Apply(map) => assert_eq!(map.data.unwrap()["number"], "one"),
        other => panic!("{other:?}"),
    }
    maps.delete("map-1", &DeleteParams::default()).await.unwrap();
    for wanted in ["Apply", "Delete"] {
        let event = in_time("an event of metadata", metadata.next()).await.unwrap().unwrap();
        assert!(format!("{event:?}").starts_with(wanted), "{event:?}");
    }
    // by hand: from a revision that the server has never had, and from one that it has
    let revision = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().timeout(1);
    let mut events = Box::pin(maps.watch(&params, &revision).await.unwrap());
    while let Some(event) = in_time("the end of the watch", events.next()).await {
        assert!(matches!(event, Ok(WatchEvent::Bookmark(_))), "{event:?}");
    }
}

async fn workloads(client: &Client) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "calls");
    let web: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "busybox:1", "command": ["sleep", "3600"]}]},
            },
        },
    }))
    .unwrap();
    deployments.create(&PostParams::default(), &web).await.unwrap();
    let completed = || await_condition(deployments.clone(), "web", conditions::is_deployment_completed());
    in_time("the deployment is complete", completed()).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "calls");
    let of_web = ListParams::default().labels("app=web");
    let names = async || -> Vec<String> {
        pods.list(&of_web)
            .await
            .unwrap()
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .map(ResourceExt::name_any)
            .collect()
    };
    let first = names().await;
    deployments.restart("web").await.unwrap();
    let other = until("another pod", async || {
        let now = names().await;
        (now.len() == 1 && now != first).then_some(now)
    })
    .await;
    in_time("the restart is complete", completed()).await.unwrap();
    pods.evict(&other[0], &EvictParams::default()).await.unwrap();
    until("the evicted pod is replaced", async || (!names().await.contains(&other[0])).then_some(())).await;
    let scale = deployments.get_scale("web").await.unwrap();
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=web"));

    let nodes: Api<Node> = Api::all(client.clone());
    let node = nodes.list(&ListParams::default()).await.unwrap().items.remove(0).name_any();
    nodes.cordon(&node).await.unwrap();
    assert_eq!(nodes.get(&node).await.unwrap().spec.unwrap().unschedulable, Some(true));
    nodes.uncordon(&node).await.unwrap();
}

async fn streams(client: &Client) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "calls");
    let line = "echo hello > /tmp/index.html; echo begun; httpd -f -p 8080 -h /tmp";
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "shell"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "busybox:1", "command": ["sh", "-c", line]}]},
    }))
    .unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    in_time("it runs", await_condition(pods.clone(), "shell", conditions::is_pod_running())).await.unwrap();
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("shell", &follow).await.unwrap().lines();
    assert_eq!(in_time("a line", lines.try_next()).await.unwrap().as_deref(), Some("begun"));

    let (out, status) = exec(&pods, "cat; echo wrong >&2; exit 3", "typed").await;
    assert_eq!(out, "typed");
    assert_eq!(
        (status.reason.as_deref(), status.status.as_deref()),
        (Some("NonZeroExitCode"), Some("Failure"))
    );
    let (_, status) = exec(&pods, "exit 0", "").await;
    assert_eq!(status.status.as_deref(), Some("Success"));
    refused_upgrade(pods.exec("nobody", ["true"], &AttachParams::default()).await.err());

    let mut shell = pods.exec("shell", ["sh"], &AttachParams::interactive_tty()).await.unwrap();
    let mut size = shell.terminal_size().unwrap();
    futures::SinkExt::send(&mut size, TerminalSize { width: 100, height: 40 }).await.unwrap();
    let (mut keys, mut screen) = (shell.stdin().unwrap(), shell.stdout().unwrap());
    keys.write_all(b"until stty size | grep -q '40 100'; do :; done; echo as large as $((40 + 2))\nexit\n")
        .await
        .unwrap();
    let mut seen = String::new();
    in_time("the end of the shell", screen.read_to_string(&mut seen)).await.unwrap();
    assert!(seen.contains("as large as 42"), "{seen}");

    let mut forward = pods.portforward("shell", &[8080, 8081]).await.unwrap();
    let mut page = forward.take_stream(8080).unwrap();
    page.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    in_time("the page", page.read_to_string(&mut seen)).await.unwrap();
    assert!(seen.ends_with("\r\n\r\nhello\n"), "{seen}");
    // nobody listens there
    let why = forward.take_error(8081).unwrap();
    let mut nobody = forward.take_stream(8081).unwrap();
    let _ = nobody.write_all(b"x").await;
    let why = in_time("why not", why).await.unwrap_or_default();
    assert!(why.contains("8081"), "{why}");
}

/// What a command printed to what it was given, and how it ended.
async fn exec(pods: &Api<Pod>, line: &str, input: &str) -> (String, Status) {
    let params = AttachParams::default().stdin(true).stderr(true);
    let mut running = pods.exec("shell", ["sh", "-c", line], &params).await.unwrap();
    let ended = running.take_status().unwrap();
    let (mut stdin, mut stdout) = (running.stdin().unwrap(), running.stdout().unwrap());
    stdin.write_all(input.as_bytes()).await.unwrap();
    stdin.shutdown().await.unwrap();
    drop(stdin);
    let mut out = String::new();
    in_time("what it prints", stdout.read_to_string(&mut out)).await.unwrap();
    (out, in_time("how it ended", ended).await.expect("a status"))
}

fn refused_upgrade(error: Option<kube::Error>) {
    let error = error.expect("a refusal");
    assert!(format!("{error:?}").contains("404"), "{error:?}");
}

/// Carries each review on to the test, which listens at the next port, and its answer back.
const RELAY: &str = r#"
import socket
class Handler(Json):
    def do_POST(self):
        with socket.create_connection(("127.0.0.1", int(sys.argv[3]) + 1)) as test:
            test.sendall(json.dumps(self.body()).encode())
            test.shutdown(socket.SHUT_WR)
            answer = test.makefile("rb").read()
        self.answer(json.loads(answer))
"#;
const PORT: u16 = 9560;

/// A webhook's types: the request as it comes, and the answer with a patch or a refusal.
async fn reviews(at: &Appliance, client: &Client) {
    let test = TcpListener::bind(("127.0.0.1", PORT + 1)).await.unwrap();
    let (_server, bundle) = serve(at, RELAY, PORT, &[], &[]);
    let hook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "label"},
        "webhooks": [{
            "name": "label.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 10,
            "clientConfig": {"url": format!("https://localhost:{PORT}/"), "caBundle": bundle},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "calls"}},
        }],
    });
    at.kubectl_with(&["create"], &hook.to_string()).ok("a webhook");
    let answering = async {
        loop {
            let (mut socket, _) = test.accept().await.unwrap();
            let mut asked = Vec::new();
            socket.read_to_end(&mut asked).await.unwrap();
            let review: AdmissionReview<DynamicObject> = serde_json::from_slice(&asked).unwrap();
            let request: AdmissionRequest<DynamicObject> = review.try_into().unwrap();
            let answer = serde_json::to_vec(&judged(&request).into_review()).unwrap();
            socket.write_all(&answer).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "calls");
    let create = async |name: &str| {
        let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        maps.create(&PostParams::default(), &map).await
    };
    let asking = async {
        let made = create("good").await.unwrap();
        assert_eq!(made.labels()["judged"], "calls");
        refused(
            create("bad").await,
            400,
            "admission webhook \"label.example.com\" denied the request: no bad names",
        );
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

fn judged(request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
    let response = AdmissionResponse::from(request);
    match request.name.as_str() {
        "bad" => response.deny("no bad names"),
        _ => {
            let label =
                json!([{"op": "add", "path": "/metadata/labels", "value": {"judged": request.namespace}}]);
            response.with_patch(serde_json::from_value(label).unwrap()).unwrap()
        }
    }
}

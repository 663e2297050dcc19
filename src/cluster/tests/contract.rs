//! What every caller may rely on, whichever way it comes: by HTTP, or by a call in the process.

use api::{FieldSelector, LabelSelector, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{
    Actor, Change, Client, Cluster, DeleteOptions, Deleted, ListParams, PodBinding, Propagation, Target,
    TokenRequestParams, Verb, VersionMatch, WatchEvent, WatchParams, WriteOptions,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Namespace, Pod, PodSchedulingGate, PodSpec, ReplicationController, Service,
    ServiceAccount, ServicePort, ServiceSpec,
};
use k8s_openapi::api::networking::v1::IPAddress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;
use std::collections::BTreeSet;

async fn cluster() -> Cluster {
    let cluster = testkit::cluster(testkit::config()).await;
    let account = ServiceAccount { metadata: meta("default"), ..ServiceAccount::default() };
    root(&cluster).api().create(account).await.unwrap();
    cluster
}

fn root(cluster: &Cluster) -> Client {
    cluster.acting_as(Actor::root())
}

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), namespace: Some("default".into()), ..ObjectMeta::default() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

fn map(name: &str, label: &str) -> ConfigMap {
    let labels = Some([("app".to_owned(), label.to_owned())].into());
    ConfigMap { metadata: ObjectMeta { labels, ..meta(name) }, ..ConfigMap::default() }
}

fn pod(name: &str) -> Pod {
    let container = Container { name: "c".into(), image: Some("i".into()), ..Container::default() };
    Pod {
        metadata: meta(name),
        spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        status: None,
    }
}

fn service(name: &str, node_port: Option<i32>) -> Service {
    let port = ServicePort { port: 80, node_port, ..ServicePort::default() };
    let spec =
        ServiceSpec { type_: Some("NodePort".into()), ports: Some(vec![port]), ..ServiceSpec::default() };
    Service { metadata: meta(name), spec: Some(spec), status: None }
}

fn target<K: TypedKind>(cluster: &Cluster, name: Option<&str>) -> Target {
    let version = cluster.registry().by_gvr(&K::info().gvr).unwrap();
    match name {
        Some(name) => Target::object(&version, Some("default"), name),
        None => Target::collection(&version, Some("default")),
    }
}

fn reason<T>(outcome: Result<T, Status>) -> Reason {
    outcome.map(|_| ()).unwrap_err().reason
}

#[tokio::test]
async fn a_name_is_taken_once_and_generated_ones_never_clash() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("a", "x")).await.unwrap();
    assert_eq!(reason(maps.create(map("a", "x")).await), Reason::AlreadyExists);
    let mut names = std::collections::HashSet::new();
    for _ in 0..100 {
        let mut generated = map("", "x");
        generated.metadata.name = None;
        generated.metadata.generate_name = Some("web-".into());
        names.insert(maps.create(generated).await.unwrap().metadata.name.unwrap());
    }
    assert!(names.len() == 100 && names.iter().all(|n| n.len() == 9 && n.starts_with("web-")), "{names:?}");
}

#[tokio::test]
async fn an_update_with_an_old_revision_changes_nothing_and_one_without_wins() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    let old = maps.create(map("a", "x")).await.unwrap();
    let new = maps
        .modify(&key("a"), |m| {
            m.data = Some([("k".into(), "v".into())].into());
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(reason(maps.update(old).await), Reason::Conflict);
    assert_eq!(maps.get(&key("a")).unwrap(), new);
    maps.update(map("a", "y")).await.unwrap();
    let again = maps.update(map("a", "y")).await.unwrap();
    assert_eq!(
        again,
        maps.update(map("a", "y")).await.unwrap(),
        "a write that changes nothing has no revision of its own"
    );
}

#[tokio::test]
async fn writers_at_once_lose_no_change() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("a", "x")).await.unwrap();
    let write = |n: usize| {
        let maps = maps.clone();
        tokio::spawn(async move {
            maps.modify(&key("a"), |m| {
                m.data.get_or_insert_default().insert(format!("k{n}"), String::new());
                Ok(())
            })
            .await
        })
    };
    for task in (0..8).map(write).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(maps.get(&key("a")).unwrap().data.unwrap().len(), 8);
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    let mut held = map("a", "x");
    held.metadata.finalizers = Some(vec!["example.com/wait".into()]);
    maps.create(held).await.unwrap();
    maps.delete(&key("a"), DeleteOptions::default()).await.unwrap();
    assert!(maps.get(&key("a")).unwrap().metadata.deletion_timestamp.is_some());
    let add = maps
        .modify(&key("a"), |m| {
            m.metadata.finalizers.get_or_insert_default().push("example.com/more".into());
            Ok(())
        })
        .await;
    assert_eq!(reason(add), Reason::Invalid, "nothing is added to what is going");
    maps.modify(&key("a"), |m| {
        m.metadata.finalizers = None;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(reason(maps.get(&key("a"))), Reason::NotFound);
}

#[tokio::test]
async fn a_binding_is_for_the_pod_that_it_means() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let pods = client.api::<Pod>();
    let uid = pods.create(pod("p")).await.unwrap().metadata.uid;
    let mut gated = pod("gated");
    let gate = PodSchedulingGate { name: "example.com/later".into() };
    gated.spec.as_mut().unwrap().scheduling_gates = Some(vec![gate]);
    pods.create(gated).await.unwrap();
    let to = |pod: &str| PodBinding::new("default", pod, "node-1");
    let mut of_revision = to("p");
    of_revision.object.metadata.resource_version = Some("another".to_owned());
    let cases = [
        ("no node", PodBinding::new("default", "p", ""), "target.name: Required value"),
        (
            "another uid",
            to("p").for_uid(Some("another".to_owned())),
            "Precondition failed: UID in precondition: another,",
        ),
        ("another revision", of_revision, "Precondition failed: ResourceVersion in"),
        ("a gate", to("gated"), "pod gated has non-empty .spec.schedulingGates"),
        ("no pod", to("nobody"), "pods \"nobody\" not found"),
    ];
    for (name, binding, words) in cases {
        let refused = client.bind_as(binding, &WriteOptions::default()).await.unwrap_err();
        assert!(refused.message.contains(words), "{name}: {refused}");
    }
    let node_of = || pods.get(&key("p")).unwrap().spec.unwrap().node_name;
    let mut binding = to("p").for_uid(uid);
    binding.object.metadata.annotations = Some([("by".to_owned(), "a binding".to_owned())].into());
    let dry_run = WriteOptions { dry_run: true, ..WriteOptions::default() };
    client.bind_as(binding.clone(), &dry_run).await.unwrap();
    assert_eq!(node_of(), None, "a dry run");
    client.bind_as(binding, &WriteOptions::default()).await.unwrap();
    assert_eq!(node_of().as_deref(), Some("node-1"));
    assert_eq!(pods.get(&key("p")).unwrap().metadata.annotations.unwrap()["by"], "a binding");
}

#[tokio::test]
async fn the_collection_of_bindings_is_a_permission_of_its_own() {
    let cluster = cluster().await;
    root(&cluster).api::<Pod>().create(pod("p")).await.unwrap();
    for (may, to_collection, allowed) in
        [("pods/binding", true, false), ("bindings", false, false), ("pods/binding", false, true)]
    {
        let name = format!("{}-{to_collection}", may.replace('/', "-"));
        let rules = vec![rule(&["create"], &[""], &[may])];
        cluster.bootstrap_components([ComponentRole::user(&name, &name, rules)]).await.unwrap();
        let binding = PodBinding::new("default", "p", "node-1");
        let path = binding.path.clone().filter(|_| !to_collection);
        let binding = PodBinding { path, ..binding };
        let bound =
            cluster.acting_as(Actor::component(&name)).bind_as(binding, &WriteOptions::default()).await;
        assert_eq!(bound.is_ok(), allowed, "{may}, to the collection: {to_collection}: {bound:?}");
    }
}

#[tokio::test]
async fn only_a_pod_that_is_bound_has_a_grace_period() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let pods = client.api::<Pod>();
    pods.create(pod("waiting")).await.unwrap();
    pods.delete(&key("waiting"), DeleteOptions::default()).await.unwrap();
    assert_eq!(reason(pods.get(&key("waiting"))), Reason::NotFound);
    let bound = pods.create(pod("bound")).await.unwrap();
    client.bind("default", "bound", "node-1").await.unwrap();
    assert_eq!(reason(client.bind("default", "bound", "node-2").await), Reason::Conflict);
    pods.delete(&key("bound"), DeleteOptions::default()).await.unwrap();
    let going = pods.get(&key("bound")).unwrap();
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(30));
    assert_eq!(kinds::pod::condition(&going, "PodScheduled").unwrap().status, "True");
    assert_eq!(reason(pods.delete(&key("bound"), DeleteOptions::now("another")).await), Reason::Conflict);
    pods.delete(&key("bound"), DeleteOptions::now(&bound.metadata.uid.unwrap())).await.unwrap();
    assert_eq!(reason(pods.get(&key("bound"))), Reason::NotFound);
}

#[tokio::test]
async fn every_page_of_a_list_is_of_one_revision() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    for n in 0..5 {
        maps.create(map(&format!("m{n}"), "x")).await.unwrap();
    }
    let all = target::<ConfigMap>(&cluster, None);
    let mut params = ListParams { limit: 2, ..ListParams::default() };
    let (mut seen, mut remaining) = (Vec::new(), Vec::new());
    loop {
        let page = cluster.list(&Actor::root(), &all, &params).unwrap();
        seen.extend(page.objects.iter().map(|o| o.key().name.to_string()));
        remaining.push(page.remaining);
        // what changes between the pages is in none of them
        let _ = maps.create(map("m9", "x")).await;
        params.continue_token = page.continue_token;
        if params.continue_token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4"]);
    assert_eq!(remaining, [Some(3), Some(1), None], "how many come after the page, of its own revision");
    // lists that nobody goes on with are not held for ever
    let one = ListParams { limit: 1, ..ListParams::default() };
    let page = cluster.list(&Actor::root(), &all, &one).unwrap();
    assert_eq!(page.remaining, Some(5));
    maps.create(map("later", "x")).await.unwrap();
    let next = ListParams { continue_token: page.continue_token, ..one };
    cluster.list(&Actor::root(), &all, &next).unwrap();
    cluster.forget_pages(std::time::Instant::now());
    cluster.list(&Actor::root(), &all, &next).unwrap();
    // nor are the events of which they can be made
    cluster.store().forget_events(cluster.store().revision());
    cluster.forget_pages(std::time::Instant::now());
    let expired = cluster.list(&Actor::root(), &all, &next).unwrap_err();
    assert_eq!(expired.reason, Reason::Expired);
    // the rest of it is there as it is now, and so are the pages after that
    maps.create(map("m00", "x")).await.unwrap();
    let mut rest = ListParams { limit: 4, continue_token: expired.continue_token, ..ListParams::default() };
    let mut seen = Vec::new();
    let mut revisions = BTreeSet::new();
    while rest.continue_token.is_some() {
        let page = cluster.list(&Actor::root(), &all, &rest).unwrap();
        seen.extend(page.objects.iter().map(|o| o.key().name.to_string()));
        revisions.insert(page.revision.0);
        maps.delete(&key("m9"), DeleteOptions::default()).await.ok();
        rest.continue_token = page.continue_token;
    }
    assert_eq!(seen, ["m00", "m1", "m2", "m3", "m4", "m9"]);
    assert_eq!(revisions.len(), 1);
    let bad = ListParams { continue_token: Some("nonsense".into()), ..ListParams::default() };
    assert_eq!(reason(cluster.list(&Actor::root(), &all, &bad)), Reason::BadRequest);
    let fields = FieldSelector::parse("spec.nodeName=x").unwrap();
    assert_eq!(
        reason(cluster.list(&Actor::root(), &all, &ListParams { fields, ..ListParams::default() })),
        Reason::BadRequest
    );
}

#[tokio::test]
async fn a_list_is_of_the_revision_that_is_asked_for_while_it_is_known() {
    let cluster = cluster().await;
    let (maps, accounts) = (root(&cluster).api::<ConfigMap>(), root(&cluster).api::<ServiceAccount>());
    for name in ["a", "b", "c"] {
        maps.create(map(name, "x")).await.unwrap();
    }
    let then = cluster.store().revision();
    maps.delete(&key("a"), DeleteOptions::default()).await.unwrap();
    maps.create(map("d", "x")).await.unwrap();
    accounts.create(ServiceAccount { metadata: meta("later"), ..ServiceAccount::default() }).await.unwrap();
    let now = cluster.store().revision();
    let names = |target: &Target, params: &ListParams| {
        let page = cluster.list(&Actor::root(), target, params)?;
        let names: Vec<String> = page.objects.iter().map(|o| o.key().name.to_string()).collect();
        Ok::<_, Status>((names.join(" "), page.revision, page.continue_token))
    };
    let asked = |revision, version_match, limit| ListParams {
        resource_version: Some(revision),
        version_match,
        limit,
        ..ListParams::default()
    };
    let (all, others) = (target::<ConfigMap>(&cluster, None), target::<ServiceAccount>(&cluster, None));
    let (any, exact) = (api::ResourceVersion(0), Some(VersionMatch::Exact));
    let cases = [
        ("an earlier one", asked(then, exact, 0), "a b c", then),
        ("the newest", asked(now, exact, 0), "b c d", now),
        ("none older", asked(then, Some(VersionMatch::NotOlderThan), 0), "b c d", now),
        ("none older, in pages", asked(then, Some(VersionMatch::NotOlderThan), 9), "b c d", now),
        ("nothing said", asked(then, None, 0), "b c d", now),
        ("nothing said, in pages", asked(then, None, 9), "a b c", then),
        ("any, in pages", asked(any, None, 9), "b c d", now),
    ];
    for (name, params, want, revision) in cases {
        assert_eq!(names(&all, &params).unwrap(), (want.to_owned(), revision, None), "{name}");
    }
    // its pages are of that revision, and what is kept for them is nothing of other kinds
    let (first, _, token) = names(&all, &asked(then, exact, 2)).unwrap();
    let rest = ListParams { continue_token: token, ..ListParams::default() };
    assert_eq!((first.as_str(), names(&all, &rest).unwrap().0.as_str()), ("a b", "c"));
    assert_eq!(names(&others, &asked(then, exact, 0)).unwrap().0, "default");
    let future = names(&all, &asked(api::ResourceVersion(now.0 + 1), exact, 0)).unwrap_err();
    let want = format!("Too large resource version: {}, current: {now}", now.0 + 1);
    assert_eq!((future.code, future.message), (504, want));
    cluster.forget_pages(std::time::Instant::now());
    cluster.store().forget_events(now);
    let gone = names(&all, &asked(then, exact, 0)).unwrap_err();
    assert_eq!((gone.code, gone.reason), (410, Reason::Expired));
    assert_eq!(gone.message, "The resourceVersion for the provided list is too old.");
}

#[tokio::test]
async fn what_is_selected_now_is_deleted_and_not_what_was() {
    let cluster = cluster().await;
    let (maps, all) = (root(&cluster).api::<ConfigMap>(), target::<ConfigMap>(&cluster, None));
    for name in ["a", "b", "c"] {
        maps.create(map(name, "old")).await.unwrap();
    }
    let then = cluster.store().revision();
    let selected = ListParams { labels: LabelSelector::parse("app=old").unwrap(), ..ListParams::default() };
    let one = ListParams { limit: 1, ..selected.clone() };
    let token = cluster.list(&Actor::root(), &all, &one).unwrap().continue_token;
    for name in ["a", "b"] {
        let keep = |map: &mut ConfigMap| {
            map.metadata.labels = Some([("app".to_owned(), "kept".to_owned())].into());
            Ok(())
        };
        maps.modify(&key(name), keep).await.unwrap();
    }
    let exact = ListParams {
        resource_version: Some(then),
        version_match: Some(VersionMatch::Exact),
        ..selected.clone()
    };
    let rest = ListParams { continue_token: token, ..selected };
    let names = |list: &cluster::List| -> Vec<String> {
        list.objects.iter().map(|object| object.key().name.to_string()).collect()
    };
    for (params, was) in [(&exact, vec!["a", "b", "c"]), (&rest, vec!["b", "c"])] {
        assert_eq!(names(&cluster.list(&Actor::root(), &all, params).unwrap()), was);
    }
    let options = DeleteOptions::default();
    for (params, is) in [(&rest, vec!["c"]), (&exact, Vec::new())] {
        let deleted = cluster.delete_collection(&Actor::root(), &all, params, &options).await.unwrap();
        assert_eq!(names(&deleted), is);
    }
    let left = maps.list(Some("default"), LabelSelector::default()).unwrap();
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn a_watch_of_a_selection_sees_what_comes_into_it_and_what_leaves() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("there", "web")).await.unwrap();
    let params = WatchParams {
        labels: LabelSelector::parse("app=web").unwrap(),
        send_initial_events: true,
        ..WatchParams::default()
    };
    let mut events = cluster.watch(&Actor::root(), &target::<ConfigMap>(&cluster, None), &params).unwrap();
    maps.create(map("other", "db")).await.unwrap();
    maps.update(map("other", "web")).await.unwrap();
    maps.modify(&key("other"), |m| {
        m.data = Some(Default::default());
        m.immutable = Some(false);
        Ok(())
    })
    .await
    .unwrap();
    maps.update(map("other", "db")).await.unwrap();
    maps.delete(&key("there"), DeleteOptions::default()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        seen.push(match event {
            WatchEvent::Added(o) => format!("added {}", o.key().name),
            WatchEvent::Modified(o) => format!("modified {}", o.key().name),
            WatchEvent::Deleted(o) => format!("deleted {}", o.key().name),
            WatchEvent::InitialEventsEnd(_) => "end of the beginning".to_owned(),
        });
    }
    assert_eq!(
        seen,
        [
            "added there",
            "end of the beginning",
            "added other",
            "modified other",
            "deleted other",
            "deleted there"
        ]
    );
}

#[tokio::test]
async fn an_informer_tells_first_what_there_is_and_then_what_happens() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("a", "x")).await.unwrap();
    let informer = cluster.informer::<ConfigMap>();
    assert!(informer.get(&key("a")).is_some(), "complete from the first moment");
    let mut changes = informer.subscribe();
    assert!(matches!(changes.next().await, Some(Change::Added(_))));
    maps.update(map("a", "y")).await.unwrap();
    maps.delete(&key("a"), DeleteOptions::default()).await.unwrap();
    assert!(matches!(changes.next().await, Some(Change::Modified { .. })));
    assert!(matches!(changes.next().await, Some(Change::Deleted(_))));
    assert!(informer.list(None).is_empty());
}

#[tokio::test]
async fn who_saw_a_service_go_may_have_its_address_at_once() {
    let cluster = cluster().await;
    let services = root(&cluster).api::<Service>();
    let first = services.create(service("a", Some(30001))).await.unwrap();
    let address = first.spec.unwrap().cluster_ip;
    let deletion = |there: Target| {
        let stored = cluster.get(&Actor::root(), &there).unwrap();
        let last = there.version.decode_stored(&stored).unwrap().encode().unwrap();
        store::Write {
            resource: store::Resource::from(&there.version.info().storage),
            key: stored.key(),
            precondition: store::Precondition::At(stored.revision()),
            change: store::Change::Delete { last },
            durability: store::Durability::Sync,
        }
    };
    // gone from the store, with its address, and whoever deleted it has not gone on yet
    let ip_address = cluster.registry().by_gvr(&IPAddress::info().gvr).unwrap();
    let gone = [
        target::<Service>(&cluster, Some("a")),
        Target::object(&ip_address, None, address.as_deref().unwrap()),
    ];
    cluster.store().commit(gone.map(deletion).into()).await.unwrap();
    let mut second = service("b", Some(30001));
    second.spec.as_mut().unwrap().cluster_ip = address.clone();
    services.create(second).await.unwrap();
    // the late deletion gives back what is not its own any more
    services.create(service("other", None)).await.unwrap();
    let mut third = service("c", None);
    third.spec.as_mut().unwrap().cluster_ip = address;
    assert_eq!(reason(services.create(third).await), Reason::Invalid);
}

#[tokio::test]
async fn ports_and_addresses_come_back_when_a_write_fails_or_a_service_goes() {
    let cluster = cluster().await;
    let services = root(&cluster).api::<Service>();
    for n in 0..4 {
        services.create(service(&format!("s{n}"), None)).await.unwrap();
    }
    let full = services.create(service("more", None)).await.unwrap_err();
    assert!(full.message.contains("range is full"), "{full}");
    let mut many = service("many", None);
    let ports = many.spec.as_mut().unwrap().ports.as_mut().unwrap();
    let one = ports[0].clone();
    let port = |n: i32| ServicePort { name: Some(format!("p{n}")), port: n, ..one.clone() };
    *ports = (1..100).map(port).collect();
    let full = services.create(many).await.unwrap_err();
    assert_eq!(full.causes.len(), 1, "it is full for all of them: {full}");
    let old = services.get(&key("s0")).unwrap().spec.unwrap().ports.unwrap()[0].node_port;
    services.delete(&key("s0"), DeleteOptions::default()).await.unwrap();
    let mut invalid = service("bad", old);
    invalid.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].port = 0;
    assert_eq!(reason(services.create(invalid).await), Reason::Invalid);
    let pretend = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let all = target::<Service>(&cluster, None);
    cluster.create(&Actor::root(), &all, Box::new(service("dry", old)), &pretend).await.unwrap();
    services.create(service("again", old)).await.unwrap();
}

#[tokio::test]
async fn a_namespace_that_goes_takes_nothing_in() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let namespaces = client.api::<Namespace>();
    let own = ObjectMeta { name: Some("team".into()), ..ObjectMeta::default() };
    namespaces.create(Namespace { metadata: own, ..Namespace::default() }).await.unwrap();
    namespaces.delete(&ObjectKey::cluster("team"), DeleteOptions::default()).await.unwrap();
    let going = namespaces.get(&ObjectKey::cluster("team")).unwrap();
    assert_eq!(going.status.as_ref().unwrap().phase.as_deref(), Some("Terminating"));
    let mut inside = map("a", "x");
    inside.metadata.namespace = Some("team".into());
    assert_eq!(reason(client.api::<ConfigMap>().create(inside.clone()).await), Reason::Forbidden);
    inside.metadata.namespace = Some("nowhere".into());
    assert_eq!(reason(client.api::<ConfigMap>().create(inside).await), Reason::NotFound);
    let kept = namespaces.delete(&ObjectKey::cluster("default"), DeleteOptions::default()).await;
    assert_eq!(reason(kept), Reason::Forbidden);
}

#[tokio::test]
async fn nobody_does_more_than_a_role_allows() {
    let cluster = cluster().await;
    let mallory = cluster.acting_as(Actor::user("mallory", &[Actor::AUTHENTICATED]));
    let refused = mallory.api::<ConfigMap>().create(map("a", "x")).await.unwrap_err();
    let want = "configmaps is forbidden: User \"mallory\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(refused.message, want);
    let (name, rules) = ("system:kube-scheduler", vec![rule(READ, &[""], &["pods"])]);
    cluster.bootstrap_components([ComponentRole::user(name, name, rules)]).await.unwrap();
    let scheduler = cluster.acting_as(Actor::component(name));
    assert!(scheduler.api::<Pod>().list(None, LabelSelector::everything()).is_ok());
    assert_eq!(reason(scheduler.api::<Pod>().create(pod("a")).await), Reason::Forbidden);
}

#[tokio::test]
async fn a_token_is_good_as_long_as_its_account_is_the_same() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let issued = client.create_token("default", "default", TokenRequestParams::default()).unwrap();
    let actor = cluster.authenticate_token(&issued.token).unwrap();
    assert_eq!(actor.name, "system:serviceaccount:default:default");
    let mut forged = issued.token.clone().into_bytes();
    let at = forged.len() - 10; // within the signature
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(reason(cluster.authenticate_token(&forged)), Reason::Unauthorized);
    let short = TokenRequestParams { expiration_seconds: Some(60), ..TokenRequestParams::default() };
    assert_eq!(reason(client.create_token("default", "default", short)), Reason::Invalid);
    let accounts = client.api::<ServiceAccount>();
    accounts.delete(&key("default"), DeleteOptions::default()).await.unwrap();
    accounts.create(ServiceAccount { metadata: meta("default"), ..ServiceAccount::default() }).await.unwrap();
    assert_eq!(
        reason(cluster.authenticate_token(&issued.token)),
        Reason::Unauthorized,
        "another account of that name"
    );
}

#[tokio::test]
async fn a_pod_gets_its_account_its_token_and_its_tolerations() {
    let cluster = cluster().await;
    let made = root(&cluster).api::<Pod>().create(pod("a")).await.unwrap();
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.tolerations.unwrap().len(), 2);
    let mount = &spec.containers[0].volume_mounts.as_ref().unwrap()[0];
    assert_eq!(mount.mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(spec.volumes.unwrap()[0].name, mount.name);
    let mut stranger = pod("b");
    stranger.spec.as_mut().unwrap().service_account_name = Some("nobody".into());
    assert_eq!(reason(root(&cluster).api::<Pod>().create(stranger).await), Reason::Forbidden);
}

#[tokio::test]
async fn a_foreground_deletion_waits_for_whoever_is_owned() {
    let cluster = cluster().await;
    root(&cluster).api::<ConfigMap>().create(map("a", "x")).await.unwrap();
    let one = target::<ConfigMap>(&cluster, Some("a"));
    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    let deleted = cluster.delete(&Actor::root(), &one, &options).await.unwrap();
    let Deleted::Later(object) = deleted else { panic!("it is gone at once") };
    assert_eq!(object.meta().finalizers, ["foregroundDeletion"]);
    // a change of the whole object by whoever holds an older copy does not bring it back to life
    let change = |current: &api::Object| target::<ConfigMap>(&cluster, None).version.decode_stored(current);
    let kept =
        cluster.modify(&Actor::root(), &one, Verb::Update, &WriteOptions::default(), &change).await.unwrap();
    assert!(kept.meta().is_deleting());
}

#[tokio::test]
async fn a_replication_controller_leaves_its_pods_where_nobody_says_otherwise() {
    let cluster = cluster().await;
    let template = serde_json::json!({"metadata": {"labels": {"app": "rc"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let rc = serde_json::json!({"metadata": {"name": "rc", "namespace": "default"}, "spec": {"template": template}});
    let rc: ReplicationController = serde_json::from_value(rc).unwrap();
    root(&cluster).api().create(rc).await.unwrap();
    let there = target::<ReplicationController>(&cluster, Some("rc"));
    let deleted = cluster.delete(&Actor::root(), &there, &DeleteOptions::default()).await.unwrap();
    let Deleted::Later(marked) = deleted else { panic!("its pods are owned by nobody who is there") };
    assert_eq!(marked.meta().finalizers, ["orphan"]);
    let background = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    let deleted = cluster.delete(&Actor::root(), &there, &background).await.unwrap();
    assert!(matches!(deleted, Deleted::Now(_)));
}

#[tokio::test]
async fn a_role_in_a_namespace_may_allow_to_read_it() {
    use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
    let cluster = cluster().await;
    let rule = PolicyRule {
        verbs: vec!["get".into(), "delete".into()],
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["namespaces".into()]),
        ..PolicyRule::default()
    };
    let role = Role { metadata: meta("reader"), rules: Some(vec![rule]) };
    let subject = Subject { kind: "User".into(), name: "alice".into(), ..Subject::default() };
    let binding = RoleBinding {
        metadata: meta("reader"),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".into()),
            kind: "Role".into(),
            name: "reader".into(),
        },
        subjects: Some(vec![subject]),
    };
    root(&cluster).api().create(role).await.unwrap();
    root(&cluster).api().create(binding).await.unwrap();
    let alice = Actor::user("alice", &[Actor::AUTHENTICATED]);
    let get = |name: &str| {
        let version = cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
        cluster.get(&alice, &Target::object(&version, None, name)).map(|_| ())
    };
    while get("default").is_err() {
        tokio::task::yield_now().await; // the rules follow the store
    }
    let refused = get("kube-system").unwrap_err();
    let want = "namespaces \"kube-system\" is forbidden: User \"alice\" cannot get resource \"namespaces\" in API group \"\" in the namespace \"kube-system\"";
    assert_eq!((refused.code, refused.message.as_str()), (403, want));
    let version = cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
    let list = cluster.list(&alice, &Target::collection(&version, None), &ListParams::default());
    assert_eq!(list.unwrap_err().code, 403);
}

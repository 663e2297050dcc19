//! Server-side apply, as the clients of one cluster see it.

use api::{Object, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Applied, Client, Cluster, DeleteOptions, Target, Verb, Wanted, WriteOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use kinds::{FieldValidation, Subresource, TypedKind};
use serde_json::{Value, json};

fn target<K: TypedKind>(cluster: &Cluster, name: &str) -> Target {
    Target::object(&cluster.registry().by_gvr(&K::info().gvr).unwrap(), Some("default"), name)
}

async fn apply<K: TypedKind>(
    cluster: &Cluster,
    manager: &str,
    force: bool,
    config: Value,
) -> Result<Applied, Status> {
    let target = target::<K>(cluster, config["metadata"]["name"].as_str().unwrap());
    let options = WriteOptions { field_manager: manager.to_owned(), ..WriteOptions::default() };
    let wanted = Wanted { config, force, validation: FieldValidation::Strict, doubled_keys: Vec::new() };
    cluster.apply(&Actor::root(), &target, wanted, &options).await
}

fn web(spec: &Value) -> Value {
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}}});
    deployment["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    deployment
}

fn json_of(applied: &Applied) -> Value {
    applied.object.decode().unwrap()
}

#[tokio::test]
async fn an_apply_creates_changes_and_takes_back() {
    let cluster = testkit::cluster(testkit::config()).await;
    let first = apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 3, "paused": true})))
        .await
        .unwrap();
    assert!(first.created);
    let shown = json_of(&first);
    assert_eq!((&shown["spec"]["replicas"], &shown["metadata"]["generation"]), (&json!(3), &json!(1)));
    let second = apply::<Deployment>(&cluster, "helm", false, web(&json!({}))).await.unwrap();
    let shown = json_of(&second);
    assert!(!second.created && shown["spec"].get("paused").is_none());
    // what nobody says any more is as upstream's default has it
    assert_eq!((&shown["spec"]["replicas"], &shown["metadata"]["generation"]), (&json!(1), &json!(2)));
    let same = apply::<Deployment>(&cluster, "helm", false, web(&json!({}))).await.unwrap();
    assert_eq!(same.object.revision(), second.object.revision(), "nothing changed, nothing is written");
}

/// As in Go, which leaves it out of what it writes: who compares what is stored with his manifest's meaning finds no difference.
#[tokio::test]
async fn what_says_nothing_is_stored_as_nothing_and_is_no_change() {
    let cluster = testkit::cluster(testkit::config()).await;
    let nothing = web(&json!({"paused": false, "minReadySeconds": 0}));
    let first = apply::<Deployment>(&cluster, "helm", false, nothing.clone()).await.unwrap();
    let shown = json_of(&first);
    assert!(
        shown["spec"].get("paused").is_none() && shown["spec"].get("minReadySeconds").is_none(),
        "{shown}"
    );
    assert_eq!(fields(&shown, "helm")["f:spec"]["f:paused"], json!({}), "it is its manager's all the same");
    let again = apply::<Deployment>(&cluster, "helm", false, nothing).await.unwrap();
    assert_eq!(again.object.revision(), first.object.revision(), "nothing changed, nothing is written");
    let without = apply::<Deployment>(&cluster, "helm", false, web(&json!({}))).await.unwrap();
    assert_eq!(json_of(&without)["metadata"]["generation"], json!(1));
}

#[tokio::test]
async fn what_another_door_changed_is_a_conflict_until_it_is_forced() {
    let cluster = testkit::cluster(testkit::config()).await;
    apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 1}))).await.unwrap();
    let deployments = cluster.acting_as(Actor::root()).api::<Deployment>();
    deployments
        .modify(&ObjectKey::namespaced("default", "web"), |d| {
            d.spec.replicas = Some(5);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(owners(&stored::<Deployment>(&cluster)).len(), 2);
    let again = web(&json!({"replicas": 1}));
    let refused = apply::<Deployment>(&cluster, "helm", false, again.clone()).await.unwrap_err();
    assert_eq!((refused.reason, refused.causes[0].field.as_str()), (Reason::Conflict, ".spec.replicas"));
    assert!(refused.message.starts_with("Apply failed with 1 conflict: conflict with "), "{refused}");
    let forced = apply::<Deployment>(&cluster, "helm", true, again).await.unwrap();
    assert_eq!(json_of(&forced)["spec"]["replicas"], 1);
}

fn by(manager: &str) -> WriteOptions {
    WriteOptions { field_manager: manager.to_owned(), ..WriteOptions::default() }
}

async fn created(cluster: &Cluster, manager: &str, object: Value) -> Value {
    created_as::<Deployment>(cluster, manager, object).await
}

async fn created_as<K: TypedKind>(cluster: &Cluster, manager: &str, object: Value) -> Value {
    let target = target::<K>(cluster, "web");
    let bytes = serde_json::to_vec(&object).unwrap();
    let made = target.version.decode(&bytes, FieldValidation::Strict).unwrap().instance;
    let target = Target { name: None, ..target };
    cluster.create(&Actor::root(), &target, made, &by(manager)).await.unwrap().decode().unwrap()
}

/// As a client's PUT of what it has read and changed.
async fn changed(cluster: &Cluster, part: Option<&str>, manager: &str, change: impl Fn(&mut Value)) -> Value {
    let target =
        Target { subresource: part.and_then(Subresource::named), ..target::<Deployment>(cluster, "web") };
    let mut object: Value = cluster.get(&Actor::root(), &target).unwrap().decode().unwrap();
    change(&mut object);
    let bytes = serde_json::to_vec(&object).unwrap();
    let new = target.version.decode(&bytes, FieldValidation::Strict).unwrap().instance;
    let (root, options) = (Actor::root(), by(manager));
    let written = cluster.modify(&root, &target, Verb::Update, &options, &|_| Ok(new.clone_box())).await;
    written.unwrap().decode().unwrap()
}

/// The object `web`, whole: components see it without its managed fields.
fn stored<K: TypedKind>(cluster: &Cluster) -> Value {
    cluster.get(&Actor::root(), &target::<K>(cluster, "web")).unwrap().decode().unwrap()
}

/// Who has something, by manager, operation and part.
fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|e| format!("{} {} {}", text(e, "manager"), text(e, "operation"), text(e, "subresource")))
        .collect()
}

fn fields(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|e| e["manager"] == manager).map_or(Value::Null, |e| e["fieldsV1"].clone())
}

#[tokio::test]
async fn what_clients_write_has_owners_from_the_first_write_on() {
    let cluster = testkit::cluster(testkit::config()).await;
    let first = created(&cluster, "kubectl-create", web(&json!({"replicas": 2}))).await;
    assert_eq!(owners(&first), ["kubectl-create Update "]);
    let entry = &first["metadata"]["managedFields"][0];
    assert_eq!((&entry["apiVersion"], &entry["fieldsType"]), (&json!("apps/v1"), &json!("FieldsV1")));
    let own = &entry["fieldsV1"];
    assert!(own["f:spec"]["f:replicas"].is_object() && own["f:status"].is_null(), "{own}");
    assert!(
        own["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:image"].is_object()
    );

    // what changes hands, and what does not
    let edited = changed(&cluster, None, "kubectl-edit", |d| d["spec"]["paused"] = true.into()).await;
    assert_eq!(fields(&edited, "kubectl-edit"), json!({"f:spec": {"f:paused": {}}}));
    let scaled = changed(&cluster, Some("scale"), "kubectl", |d| d["spec"]["replicas"] = 5.into()).await;
    assert_eq!(owners(&scaled), ["kubectl Update scale", "kubectl-create Update ", "kubectl-edit Update "]);
    assert!(fields(&scaled, "kubectl-create")["f:spec"]["f:replicas"].is_null());
    let same = changed(&cluster, None, "somebody", |_| {}).await;
    assert_eq!(same["metadata"], scaled["metadata"], "nothing changed");

    // an applier hears of it
    let refused =
        apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 3}))).await.unwrap_err();
    assert!(
        refused.message.contains("conflict with \"kubectl\" with subresource \"scale\" using apps/v1"),
        "{refused}"
    );

    // thrown away: from then on nobody has anything, until somebody applies
    for none in [json!([]), json!([{}])] {
        let without =
            changed(&cluster, None, "kubectl-edit", |d| d["metadata"]["managedFields"] = none.clone()).await;
        assert_eq!(without["metadata"]["managedFields"], Value::Null);
    }
    changed(&cluster, None, "kubectl-edit", |d| d["spec"]["paused"] = false.into()).await;
    let applied = apply::<Deployment>(&cluster, "helm", true, web(&json!({"replicas": 3}))).await.unwrap();
    assert_eq!(owners(&json_of(&applied)), ["helm Apply ", "before-first-apply Update "]);
}

#[tokio::test]
async fn what_the_server_adds_to_a_new_object_is_nobodys() {
    const UID: &str = "batch.kubernetes.io/controller-uid";
    let cluster = testkit::cluster(testkit::config()).await;
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"}, "spec": {"template": template}});
    let made = created_as::<Job>(&cluster, "kubectl-create", job).await;
    assert!(made["spec"]["selector"]["matchLabels"][UID].is_string(), "{made}");
    let own = fields(&made, "kubectl-create")["f:spec"].clone();
    // defaults are the creator's
    assert!(own["f:backoffLimit"].is_object() && own["f:selector"].is_null(), "{own}");
    let labels = &own["f:template"]["f:metadata"]["f:labels"];
    assert!(labels["f:app"].is_object() && labels[format!("f:{UID}")].is_null(), "{labels}");
}

const LONG_AGO: &str = "2020-02-02T20:20:20Z";

/// Another change sets the clock of whoever applied back by years.
async fn written_long_ago<K: TypedKind>(cluster: &Cluster) -> Object {
    let target = target::<K>(cluster, "web");
    let mut object: Value = cluster.get(&Actor::root(), &target).unwrap().decode().unwrap();
    object["metadata"]["labels"] = json!({"since": "long"});
    object["metadata"]["managedFields"][0]["time"] = LONG_AGO.into();
    let bytes = serde_json::to_vec(&object).unwrap();
    let new = target.version.decode(&bytes, FieldValidation::Strict).unwrap().instance;
    let (root, options) = (Actor::root(), by("edit"));
    cluster.modify(&root, &target, Verb::Update, &options, &|_| Ok(new.clone_box())).await.unwrap()
}

#[tokio::test]
async fn who_applies_the_same_in_other_words_writes_nothing_later_either() {
    async fn again<K: TypedKind>(name: &str, config: Value, other: Value) {
        let cluster = testkit::cluster(testkit::config()).await;
        apply::<K>(&cluster, "helm", false, config.clone()).await.unwrap();
        let old = written_long_ago::<K>(&cluster).await;
        let time = |object: &Object| {
            let object: Value = object.decode().unwrap();
            let entries = object["metadata"]["managedFields"].as_array().unwrap().clone();
            entries.iter().find(|entry| entry["manager"] == "helm").unwrap()["time"].clone()
        };
        assert_eq!(time(&old), LONG_AGO, "{name}");
        let same = apply::<K>(&cluster, "helm", false, config).await.unwrap().object;
        assert_eq!((same.revision(), time(&same)), (old.revision(), LONG_AGO.into()), "{name}");
        let changed = apply::<K>(&cluster, "helm", false, other).await.unwrap().object;
        assert!(changed.revision() > old.revision() && time(&changed) != LONG_AGO, "{name}");
    }
    let container = |memory: &str| {
        let container = json!({"name": "c", "image": "i:1", "resources": {"limits": {"memory": memory}}});
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}});
        web(&json!({"template": template}))
    };
    again::<Deployment>("an amount", container("0.5Gi"), container("1.5Gi")).await;
    let secret = |password: &str| {
        let metadata = json!({"name": "web"});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"p": password}})
    };
    again::<Secret>("stringData", secret("a"), secret("b")).await;
}

/// What an entry of the manager and this part has.
fn part_of(object: &Value, manager: &str, part: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let is_it = |e: &&Value| e["manager"] == manager && e["subresource"].as_str().unwrap_or_default() == part;
    entries.iter().find(is_it).map_or(Value::Null, |e| e["fieldsV1"].clone())
}

/// As a controller of Deployments writes.
async fn controller(cluster: &Cluster) -> Client {
    let resources = ["deployments", "deployments/scale", "deployments/status"];
    let rules = vec![rule(&["create", "get", "patch", "update"], &["apps"], &resources)];
    cluster.bootstrap_components([ComponentRole::controller("deployment-controller", rules)]).await.unwrap();
    cluster.acting_as(Actor::controller("deployment-controller"))
}

fn web_key() -> ObjectKey {
    ObjectKey::namespaced("default", "web")
}

const CONTROLLERS: &str = "kube-controller-manager";

#[tokio::test]
async fn what_components_write_has_owners_from_the_first_write_on() {
    let cluster = testkit::cluster(testkit::config()).await;
    let deployments = controller(&cluster).await.api::<Deployment>();
    let mut made = serde_json::from_value::<Deployment>(web(&json!({"replicas": 2}))).unwrap();
    made.metadata.namespace = Some("default".into());
    deployments.create(made).await.unwrap();
    let made = stored::<Deployment>(&cluster);
    assert_eq!(owners(&made), ["kube-controller-manager Update "]);
    let own = fields(&made, CONTROLLERS);
    assert!(own["f:spec"]["f:replicas"].is_object() && own["f:status"].is_null(), "{own}");

    // the status is a part with an entry of its own
    let seen = |d: &mut Deployment, n| {
        d.status.get_or_insert_default().observed_generation = Some(n);
        Ok(())
    };
    deployments.modify_status(&web_key(), |d| seen(d, 1)).await.unwrap();
    let first = stored::<Deployment>(&cluster);
    assert_eq!(owners(&first), ["kube-controller-manager Update ", "kube-controller-manager Update status"]);
    assert_eq!(part_of(&first, CONTROLLERS, "status"), json!({"f:status": {"f:observedGeneration": {}}}));
    assert_eq!(part_of(&first, CONTROLLERS, ""), own);

    // the same again is no write; another value of the same fields changes nothing of whose they are, only since when
    deployments.modify_status(&web_key(), |d| seen(d, 1)).await.unwrap();
    assert_eq!(stored::<Deployment>(&cluster), first);
    for n in 2..5 {
        deployments.modify_status(&web_key(), |d| seen(d, n)).await.unwrap();
        let next = stored::<Deployment>(&cluster);
        assert_ne!(next["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        assert_eq!(owners(&next), owners(&first), "{n}");
        for part in ["", "status"] {
            assert_eq!(part_of(&next, CONTROLLERS, part), part_of(&first, CONTROLLERS, part), "{n} {part}");
        }
    }
}

#[tokio::test]
async fn a_field_is_of_who_wrote_it_last_component_or_client() {
    let cluster = testkit::cluster(testkit::config()).await;
    let deployments = controller(&cluster).await.api::<Deployment>();
    created(&cluster, "kubectl-create", web(&json!({"replicas": 2}))).await;
    // what is written without the entries keeps them
    let mut bare = deployments.get(&web_key()).unwrap();
    assert_eq!(bare.metadata.managed_fields, None);
    bare.spec.replicas = Some(3);
    deployments.update(bare).await.unwrap();
    let taken = stored::<Deployment>(&cluster);
    assert_eq!(fields(&taken, CONTROLLERS), json!({"f:spec": {"f:replicas": {}}}));
    let creators = fields(&taken, "kubectl-create");
    assert!(creators["f:spec"]["f:template"].is_object() && creators["f:spec"]["f:replicas"].is_null());

    let scaled = changed(&cluster, Some("scale"), "kubectl", |d| d["spec"]["replicas"] = 5.into()).await;
    assert_eq!(part_of(&scaled, "kubectl", "scale"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(fields(&scaled, CONTROLLERS), Value::Null, "what is left of it nobody has");
    changed(&cluster, Some("status"), "operator", |d| d["status"]["replicas"] = 7.into()).await;
    let counted = |d: &mut Deployment| {
        d.status.get_or_insert_default().replicas = Some(8);
        Ok(())
    };
    deployments.modify_status(&web_key(), counted).await.unwrap();
    let counted = stored::<Deployment>(&cluster);
    assert_eq!(part_of(&counted, CONTROLLERS, "status"), json!({"f:status": {"f:replicas": {}}}));
    assert_eq!(fields(&counted, "operator"), Value::Null);
}

#[tokio::test]
async fn an_autoscaler_and_who_applies_replicas_conflict() {
    let cluster = testkit::cluster(testkit::config()).await;
    let client = controller(&cluster).await;
    apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 2}))).await.unwrap();
    let scale = target::<Deployment>(&cluster, "web").subresource(Subresource::Scale);
    let set = |current: &Object| {
        let mut instance = scale.version.decode_stored(current)?;
        instance.set_replicas(5);
        Ok(instance)
    };
    let options = WriteOptions::default();
    cluster.modify(client.actor(), &scale, Verb::Update, &options, &set).await.unwrap();
    let refused =
        apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 3}))).await.unwrap_err();
    let words = "Apply failed with 1 conflict: conflict with \"kube-controller-manager\" with subresource \"scale\" using apps/v1 at ";
    assert!(refused.message.starts_with(words) && refused.message.ends_with(": .spec.replicas"), "{refused}");
    // who leaves them out leaves them to it
    let without = apply::<Deployment>(&cluster, "helm", false, web(&json!({}))).await.unwrap();
    assert_eq!(json_of(&without)["spec"]["replicas"], 5);
}

#[tokio::test]
async fn what_an_older_version_stored_has_no_owners_until_it_is_applied() {
    let cluster = testkit::cluster(testkit::config()).await;
    let deployments = controller(&cluster).await.api::<Deployment>();
    created(&cluster, "kubectl-create", web(&json!({"replicas": 2}))).await;
    changed(&cluster, None, "kubectl-edit", |d| d["metadata"]["managedFields"] = json!([{}])).await;
    let scaled = |d: &mut Deployment| {
        d.spec.replicas = Some(4);
        Ok(())
    };
    deployments.modify(&web_key(), scaled).await.unwrap();
    let scaled = stored::<Deployment>(&cluster);
    assert_eq!(
        (&scaled["spec"]["replicas"], &scaled["metadata"]["managedFields"]),
        (&json!(4), &Value::Null)
    );
    let refused =
        apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 3}))).await.unwrap_err();
    assert!(refused.message.contains("conflict with \"before-first-apply\" using apps/v1"), "{refused}");
}

#[tokio::test]
async fn what_kubectl_moves_from_one_side_to_the_other_it_writes_as_it_is() {
    let cluster = testkit::cluster(testkit::config()).await;
    created(&cluster, "kubectl-create", web(&json!({"replicas": 2}))).await;
    changed(&cluster, None, "kubectl-edit", |d| d["spec"]["paused"] = true.into()).await;
    let moved = changed(&cluster, None, "kubectl", |d| {
        let entries = d["metadata"]["managedFields"].as_array_mut().unwrap();
        entries.retain(|entry| entry["manager"] == "kubectl-create");
        entries[0]["manager"] = "kubectl".into();
        entries[0]["operation"] = "Apply".into();
    })
    .await;
    assert_eq!(owners(&moved), ["kubectl Apply "]);
}

#[tokio::test]
async fn what_is_taken_out_of_the_metadata_is_nobodys() {
    let cluster = testkit::cluster(testkit::config()).await;
    let mut object = web(&json!({}));
    object["metadata"]["labels"] = json!({"a": "b"});
    let first = created(&cluster, "kubectl-create", object).await;
    assert!(fields(&first, "kubectl-create")["f:metadata"]["f:labels"]["f:a"].is_object());
    let bare = changed(&cluster, None, "kubectl-label", |d| {
        d["metadata"].as_object_mut().unwrap().remove("labels");
    })
    .await;
    assert_eq!(bare["metadata"]["labels"], Value::Null);
    assert_eq!(owners(&bare), ["kubectl-create Update "], "who took it out has nothing");
    assert_eq!(fields(&bare, "kubectl-create")["f:metadata"], Value::Null);
}

#[tokio::test]
async fn what_a_client_writes_of_the_entries_is_read_as_they_are() {
    let cluster = testkit::cluster(testkit::config()).await;
    let first = created(&cluster, "kubectl-create", web(&json!({"replicas": 2}))).await;
    let entries = first["metadata"]["managedFields"].clone();
    let wrote = async |part: Option<&str>, written: Value| {
        let write = |d: &mut Value| d["metadata"]["managedFields"] = written.clone();
        changed(&cluster, part, "somebody", write).await["metadata"]["managedFields"].clone()
    };
    let with = |field: &str, value: Value| {
        let mut written = entries.clone();
        written[0][field] = value;
        written
    };
    // one that is none: they stay what they were
    for (field, value) in [
        ("fieldsV1", json!({"f:spec": {"f:replicas": "mine"}})),
        ("fieldsType", json!("FieldsV2")),
        ("apiVersion", json!("")),
        ("operation", json!("Own")),
    ] {
        assert_eq!(wrote(None, with(field, value)).await, entries, "{field}");
    }
    // nor are they written with a part of the object
    assert_eq!(wrote(Some("status"), json!([{}])).await, entries);
    let other_spaces = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{ \"name\": \"c\" }": {"f:image": {}}}}}}});
    let key = "k:{\"name\":\"c\"}";
    let containers = wrote(None, with("fieldsV1", other_spaces)).await[0]["fieldsV1"]["f:spec"]["f:template"]
        ["f:spec"]["f:containers"]
        .clone();
    assert_eq!(containers, json!({key: {"f:image": {}}}));
}

#[tokio::test]
async fn where_a_pod_is_bound_and_why_it_is_evicted_nobody_owns() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    root.api().create(serde_json::from_value::<ServiceAccount>(account).unwrap()).await.unwrap();
    let pods = root.api::<Pod>();
    pods.create(testkit::objects::pod("web").build()).await.unwrap();
    let made = stored::<Pod>(&cluster);
    assert_eq!(owners(&made), ["kube-apiserver Update "]);
    root.bind("default", "web", "n1").await.unwrap();
    let target = target::<Pod>(&cluster, "web");
    cluster.evict(root.actor(), &target, &DeleteOptions::default()).await.unwrap();
    let going = pods.get(&web_key()).unwrap();
    assert_eq!(going.spec.unwrap().node_name.as_deref(), Some("n1"));
    let conditions = going.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|condition| condition.type_ == "DisruptionTarget"), "{conditions:?}");
    assert_eq!(stored::<Pod>(&cluster)["metadata"]["managedFields"], made["metadata"]["managedFields"]);
}

#[tokio::test]
async fn two_appliers_share_the_lists_of_one_object() {
    let cluster = testkit::cluster(testkit::config()).await;
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    apply::<Service>(&cluster, "a", false, service(json!([{"name": "http", "port": 80}]))).await.unwrap();
    apply::<Service>(&cluster, "b", false, service(json!([{"name": "dns", "port": 53, "protocol": "UDP"}])))
        .await
        .unwrap();
    let left = apply::<Service>(&cluster, "a", false, service(json!([]))).await.unwrap();
    let ports = json_of(&left)["spec"]["ports"].clone();
    assert_eq!(ports.as_array().unwrap().len(), 1, "{ports}");
    assert_eq!(ports[0]["name"], "dns");
}

#[tokio::test]
async fn what_is_exported_elsewhere_is_made_whatever_its_revision_but_not_with_its_uid() {
    let cluster = testkit::cluster(testkit::config()).await;
    let with = |field: &str, value: &str| {
        let mut exported = web(&json!({}));
        exported["metadata"][field] = value.into();
        exported
    };
    let refused = apply::<Deployment>(&cluster, "m", false, with("uid", "another")).await.unwrap_err();
    assert!(refused.is(Reason::Conflict), "{refused}");
    assert_eq!(
        refused.message,
        "Operation cannot be fulfilled on deployments.apps \"web\": uid mismatch: the provided object specified uid another, \
         and no existing object was found"
    );
    let made = apply::<Deployment>(&cluster, "m", false, with("resourceVersion", "99999999")).await.unwrap();
    assert!(made.created);
    // now there is one to compare with
    let refused =
        apply::<Deployment>(&cluster, "m", false, with("resourceVersion", "99999999")).await.unwrap_err();
    assert!(refused.is(Reason::Conflict), "{refused}");
}

#[tokio::test]
async fn bad_configurations_are_refused_in_words() {
    let cluster = testkit::cluster(testkit::config()).await;
    let cases = [
        ("no kind", json!({"apiVersion": "apps/v1", "metadata": {"name": "web"}}), "kind"),
        (
            "another kind",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}),
            "does not match",
        ),
        (
            "managed fields",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "managedFields": [{}]}}),
            "metadata.managedFields must be nil",
        ),
        (
            "an unknown field",
            web(&json!({"replica": 1})),
            "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema",
        ),
        (
            "one item twice",
            web(&json!({"template": {"spec": {"containers": [{"name": "c"}, {"name": "c"}]}}})),
            "duplicate entries for key [name=\"c\"]",
        ),
    ];
    for (name, config, words) in cases {
        let refused = apply::<Deployment>(&cluster, "m", false, config).await.unwrap_err();
        assert!(refused.message.contains(words), "{name}: {refused}");
    }
    // a new object is called what it says, and nothing that is made up
    let mut config = web(&json!({}));
    config["metadata"] = json!({"generateName": "web-"});
    let wanted =
        Wanted { config, force: false, validation: FieldValidation::Strict, doubled_keys: Vec::new() };
    let options = WriteOptions { field_manager: "m".to_owned(), ..WriteOptions::default() };
    let refused = cluster
        .apply(&Actor::root(), &target::<Deployment>(&cluster, "web"), wanted, &options)
        .await
        .unwrap_err();
    let words = "the name of the object (web based on URL) was undeterminable: name must be provided";
    assert_eq!((refused.code, refused.message.as_str()), (400, words));
}

/// The fields of each stand in it.
#[tokio::test]
async fn an_object_that_many_managers_apply_has_a_bound_as_any_other() {
    let cluster = testkit::cluster(testkit::config()).await;
    let data: serde_json::Map<_, _> = (0..60_000).map(|n| (format!("k{n:05}"), json!(""))).collect();
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let mut stored = 0;
    for manager in 0..8 {
        match apply::<ConfigMap>(&cluster, &format!("m{manager}"), false, config.clone()).await {
            Ok(applied) => stored = applied.object.bytes().len(),
            Err(refused) => {
                assert_eq!(refused.reason, Reason::RequestEntityTooLarge, "{}", refused.message);
                assert!(manager > 1 && stored > 1 << 20, "{manager}: {stored}");
                return;
            }
        }
    }
    panic!("it has {stored} bytes");
}

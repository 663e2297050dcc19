//! Policies that change.

use crate::lab::{Lab, apply, data, patch, rules};
use api::{ObjectKey, Reason};
use cluster::{Actor, Remarks, Target, Verb, WriteOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kinds::TypedKind;
use serde_json::json;

#[tokio::test]
async fn policies_change_what_is_written() {
    let cases = [
        ("apply", apply("Object{data: {'b': object.data.a + '2'}}"), json!({"a": "1", "b": "12"})),
        ("nothing", apply("Object{}"), json!({"a": "1"})),
        (
            "left out",
            apply("Object{?data: has(object.x) ? optional.of({'b': '2'}) : optional.none()}"),
            json!({"a": "1"}),
        ),
        (
            "patch",
            patch(
                "[JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('b'), value: '2'}, JSONPatch{op: 'remove', path: '/data/a'}]",
            ),
            json!({"b": "2"}),
        ),
        (
            "a test that holds not",
            patch(
                "[JSONPatch{op: 'test', path: '/data/a', value: '9'}, JSONPatch{op: 'remove', path: '/data/a'}]",
            ),
            json!({"a": "1"}),
        ),
        (
            "one after the other",
            json!([
                apply("Object{data: {'b': '2'}}")[0],
                patch("[JSONPatch{op: 'copy', from: '/data/b', path: '/data/c'}]")[0]
            ]),
            json!({"a": "1", "b": "2", "c": "2"}),
        ),
        (
            "an identity that is forged",
            apply("Object{metadata: Object.metadata{uid: 'forged'}}"),
            json!({"a": "1"}),
        ),
    ];
    for (name, mutations, want) in cases {
        let lab = Lab::new().await;
        lab.mutating("m", json!({"mutations": mutations})).await;
        let made = lab.attempt(json!({"a": "1"})).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(json!(data(&made)), want, "{name}");
        assert_ne!(made.metadata.uid.as_deref(), Some("forged"));
    }
}

#[tokio::test]
async fn what_a_policy_can_not_change_is_told() {
    let cases = [
        (apply("Object{nope: 1}"), "error applying patch: failed to convert patch object to typed object: "),
        (
            apply("Object{metadata: Object.meta{labels: {'a': 'b'}}}"),
            "type mismatch: unexpected type name \"Object.meta\", expected \"Object.metadata\", which matches field name path from root Object type",
        ),
        (apply("object.data.a == '1' ? Object{data: {'a': object.nope}} : Object{}"), "no such key: nope"),
        (patch("[JSONPatch{op: 'remove', path: '/data/zz'}]"), "JSONPath: "),
    ];
    for (mutations, want) in cases {
        let lab = Lab::new().await;
        lab.mutating("m", json!({"mutations": mutations})).await;
        let refused = lab.attempt(json!({"a": "1"})).await.unwrap_err();
        let told = &refused.message;
        assert!(
            told.starts_with("policy 'm' with binding 'm' denied request: ") && told.contains(want),
            "{want}: {told}"
        );
        assert_eq!((refused.code, refused.reason), (403, Reason::Invalid));
        let lab = Lab::new().await;
        lab.mutating("m", json!({"failurePolicy": "Ignore", "mutations": mutations})).await;
        lab.attempt(json!({"a": "1"})).await.unwrap();
    }
}

#[tokio::test]
async fn policies_change_how_somebody_connects() {
    let untyped = "policy 'm' with binding 'm' denied request: error applying patch: failed to convert patch object to typed object: no corresponding type for /v1, Kind=PodExecOptions";
    let cases = [
        (
            patch("[JSONPatch{op: 'add', path: '/command/0', value: 'nice'}]"),
            Ok(json!({"command": ["nice", "sh"]})),
        ),
        (apply("Object{command: ['nice']}"), Err(untyped.to_owned())),
    ];
    for (mutations, want) in cases {
        let lab = Lab::new().await;
        let policy = json!({"matchConstraints": rules("pods/exec"), "mutations": mutations});
        lab.mutating("m", policy).await;
        let judged = json!({"matchConstraints": rules("pods/exec"), "validations": [
            {"expression": "object.kind == 'PodExecOptions' && object.command == ['nice', 'sh']"}]});
        lab.validating("v", judged, json!({})).await;
        let version = lab.0.registry().by_gvr(&Pod::info().gvr).unwrap();
        let target = Target::object(&version, Some("default"), "p").subresource(kinds::Subresource::Exec);
        let (root, options, remarks) = (Actor::root(), json!({"command": ["sh"]}), Remarks::default());
        let admitted = lab.0.admit_connection(&root, &target, "PodExecOptions", options, &remarks).await;
        let admitted = admitted.map(|options| json!({"command": options["command"]}));
        assert_eq!(admitted.map_err(|status| status.message), want);
    }
}

#[tokio::test]
async fn policies_change_and_judge_bindings() {
    let lab = Lab::new().await;
    let root = lab.0.acting_as(Actor::root());
    let account: k8s_openapi::api::core::v1::ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "default"}})).unwrap();
    let _ = root.api().create(account).await;
    root.api().create(testkit::objects::pod("p").build()).await.unwrap();
    let annotated = apply("Object{metadata: Object.metadata{annotations: {'by': 'a policy'}}}");
    let policy = json!({"matchConstraints": rules("pods/binding"), "mutations": annotated});
    lab.mutating("m", policy).await;
    let judged = json!({"matchConstraints": rules("pods/binding"), "validations": [
        {"expression": "object.kind == 'Binding' && object.target.name != 'node-2'", "message": "not there"},
        {"expression": "request.operation == 'CREATE' && request.subResource == 'binding'"}]});
    lab.validating("v", judged, json!({})).await;
    let refused = root.bind("default", "p", "node-2").await.unwrap_err();
    let want =
        "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'v' with binding 'v' denied request: not there";
    assert_eq!(refused.message, want);
    root.bind("default", "p", "node-1").await.unwrap();
    let pod: Pod = root.api().get(&ObjectKey::namespaced("default", "p")).unwrap();
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("node-1"));
    assert_eq!(pod.metadata.annotations.unwrap()["by"], "a policy");
}

#[tokio::test]
async fn policies_change_and_judge_scales() {
    let lab = Lab::new().await;
    let root = lab.0.acting_as(Actor::root());
    let labels = json!({"app": "web"});
    let template =
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    let deployment: Deployment =
        serde_json::from_value(json!({"metadata": {"name": "d", "namespace": "default"}, "spec": spec}))
            .unwrap();
    root.api().create(deployment).await.unwrap();
    let mut on_scale = rules("deployments/scale");
    on_scale["resourceRules"][0]["apiGroups"] = json!(["apps"]);
    let three = apply("Object{spec: Object.spec{replicas: 3}}");
    lab.mutating("m", json!({"matchConstraints": on_scale, "mutations": three})).await;
    let judged = json!({"matchConstraints": on_scale, "validations": [
        {"expression": "object.kind == 'Scale' && request.kind.group == 'autoscaling' && object.spec.replicas == 3"},
        {"expression": "oldObject.spec.replicas == 1", "message": "once only"}]});
    lab.validating("v", judged, json!({})).await;
    let version = lab.0.registry().by_gvr(&Deployment::info().gvr).unwrap();
    let part = Target::object(&version, Some("default"), "d").subresource(kinds::Subresource::Scale);
    for (asked, want) in [(2, Ok(Some(3))), (5, Err("once only"))] {
        let set = |current: &api::Object| {
            let mut instance = part.version.decode_stored(current)?;
            instance.set_replicas(asked);
            Ok(instance)
        };
        let written = lab.0.modify(&Actor::root(), &part, Verb::Update, &WriteOptions::default(), &set).await;
        let written = written.map(|object| object.decode::<Deployment>().unwrap().spec.replicas);
        match want {
            Ok(replicas) => assert_eq!(written.unwrap(), replicas),
            Err(why) => assert!(written.unwrap_err().message.ends_with(why), "{asked}"),
        }
    }
}

#[tokio::test]
async fn pods_are_changed_by_key_and_not_as_a_whole() {
    let lab = Lab::new().await;
    let account: k8s_openapi::api::core::v1::ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "default"}})).unwrap();
    let _ = lab.0.acting_as(Actor::root()).api().create(account).await;
    let sidecar = "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: 'mesh', image: 'mesh', restartPolicy: 'Always'}], containers: [Object.spec.containers{name: 'main', imagePullPolicy: 'Never'}]}}";
    lab.mutating("sidecar", json!({"matchConstraints": rules("pods"), "mutations": apply(sidecar)})).await;
    let pod = |name: &str| -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "main", "image": "main"}]}}))
        .unwrap()
    };
    let made = lab.0.acting_as(Actor::root()).api().create(pod("a")).await.unwrap().spec.unwrap();
    assert_eq!(made.containers.len(), 1);
    assert_eq!(made.containers[0].image.as_deref(), Some("main"));
    assert_eq!(made.containers[0].image_pull_policy.as_deref(), Some("Never"));
    let init = &made.init_containers.unwrap()[0];
    assert_eq!(
        (init.name.as_str(), init.termination_message_path.as_deref()),
        ("mesh", Some("/dev/termination-log"))
    );
    let args = "Object{spec: Object.spec{containers: [Object.spec.containers{name: 'main', args: ['x']}]}}";
    lab.mutating("whole", json!({"matchConstraints": rules("pods"), "mutations": apply(args)})).await;
    let refused = lab.0.acting_as(Actor::root()).api().create(pod("b")).await.unwrap_err();
    let want = "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].args";
    assert!(refused.message.ends_with(want), "{}", refused.message);
}

#[tokio::test]
async fn who_asked_for_it_is_evaluated_again() {
    for (policy, want) in [("Never", "0"), ("IfNeeded", "1")] {
        let lab = Lab::new().await;
        let count = "Object{data: {'seen': string(int(has(object.data.b) ? '1' : '0'))}}";
        lab.mutating("a", json!({"reinvocationPolicy": policy, "mutations": apply(count)})).await;
        lab.mutating("b", json!({"mutations": apply("Object{data: {'b': '2'}}")})).await;
        let made = lab.attempt(json!({})).await.unwrap();
        assert_eq!(data(&made)["seen"], want, "{policy}");
    }
}

#[tokio::test]
async fn what_the_last_one_makes_of_a_pod_is_judged() {
    for (change, want) in [
        ("serviceAccountName: 'nobody'", "error looking up service account default/nobody"),
        ("runtimeClassName: 'nobodys'", "RuntimeClass \"nobodys\" not found"),
        ("overhead: {'cpu': '1'}", "Pod Overhead set without corresponding RuntimeClass defined Overhead"),
    ] {
        let lab = Lab::new().await;
        let root = lab.0.acting_as(Actor::root());
        let account: k8s_openapi::api::core::v1::ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "default"}})).unwrap();
        let _ = root.api().create(account).await;
        // the first says it when it is evaluated again: after that nobody fills in anything
        let late = format!(
            "has(object.metadata.annotations) ? Object{{spec: Object.spec{{{change}}}}} : Object{{}}"
        );
        let first = json!({"matchConstraints": rules("pods"), "reinvocationPolicy": "IfNeeded", "mutations": apply(&late)});
        let annotated = apply("Object{metadata: Object.metadata{annotations: {'by': 'the second'}}}");
        lab.mutating("a", first).await;
        lab.mutating("b", json!({"matchConstraints": rules("pods"), "mutations": annotated})).await;
        let refused = root.api().create(testkit::objects::pod("p").build()).await.unwrap_err();
        assert!(refused.message.contains(want), "{change}: {}", refused.message);
    }
}

//! What admission policies allow, refuse and change.

use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Attributes, Cluster, DeleteOptions, Remarks, Target, Verb, WriteOptions};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kinds::TypedKind;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

struct Lab(Cluster);

fn rules(resource: &str) -> Value {
    json!({"resourceRules": [
        {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]},
    ]})
}

fn typed<K: DeserializeOwned>(name: &str, spec: Value) -> K {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

fn over(mut base: Value, change: Value) -> Value {
    for (field, value) in change.as_object().unwrap() {
        base[field] = value.clone();
    }
    base
}

impl Lab {
    async fn new() -> Lab {
        Lab(testkit::cluster(testkit::config()).await)
    }

    async fn validating(&self, name: &str, policy: Value, binding: Value) {
        let root = self.0.acting_as(Actor::root());
        let policy = over(json!({"matchConstraints": rules("configmaps")}), policy);
        root.api().create(typed::<ValidatingAdmissionPolicy>(name, policy)).await.unwrap();
        let binding = over(json!({"policyName": name, "validationActions": ["Deny"]}), binding);
        root.api().create(typed::<ValidatingAdmissionPolicyBinding>(name, binding)).await.unwrap();
    }

    async fn mutating(&self, name: &str, policy: Value) {
        let root = self.0.acting_as(Actor::root());
        let base = json!({"matchConstraints": rules("configmaps"), "reinvocationPolicy": "Never"});
        root.api().create(typed::<MutatingAdmissionPolicy>(name, over(base, policy))).await.unwrap();
        let binding = json!({"policyName": name});
        root.api().create(typed::<MutatingAdmissionPolicyBinding>(name, binding)).await.unwrap();
    }

    async fn create(&self, name: &str, data: Value, options: &WriteOptions) -> Result<ConfigMap, Status> {
        let map: ConfigMap = serde_json::from_value(
            json!({"metadata": {"name": name, "labels": {"app.example/x-y": "z"}}, "data": data}),
        )
        .unwrap();
        let version = self.0.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
        let target = Target::collection(&version, Some("default"));
        let made = self.0.create(&Actor::root(), &target, Box::new(map), options).await?;
        Ok(made.decode().unwrap())
    }

    async fn attempt(&self, data: Value) -> Result<ConfigMap, Status> {
        self.create("a", data, &WriteOptions { dry_run: true, ..WriteOptions::default() }).await
    }
}

fn data(of: &ConfigMap) -> BTreeMap<&str, &str> {
    of.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn a_validation_is_told_in_upstreams_words() {
    let expression = json!({"expression": "object.data.a != 'bad'"});
    let cases = [
        ("plain", expression.clone(), 422, "failed expression: object.data.a != 'bad'"),
        ("message", over(expression.clone(), json!({"message": "a is bad"})), 422, "a is bad"),
        (
            "expression",
            over(
                expression.clone(),
                json!({"message": "x", "messageExpression": "object.metadata.namespace + '/' + object.data.a"}),
            ),
            422,
            "default/bad",
        ),
        (
            "no message",
            over(expression.clone(), json!({"message": "x", "messageExpression": "object.data.nope"})),
            422,
            "x",
        ),
        ("reason", over(expression, json!({"reason": "Forbidden", "message": "no"})), 403, "no"),
        (
            "error",
            json!({"expression": "object.data.nope == ''"}),
            422,
            "expression 'object.data.nope == ''' resulted in error: no such key: nope",
        ),
        ("no truth", json!({"expression": "object.data.a", "message": "not true"}), 422, "not true"),
    ];
    for (name, validation, code, want) in cases {
        let lab = Lab::new().await;
        lab.validating("p", json!({"validations": [validation]}), json!({})).await;
        let refused = lab.attempt(json!({"a": "bad"})).await.unwrap_err();
        let message = format!("ValidatingAdmissionPolicy 'p' with binding 'p' denied request: {want}");
        assert_eq!(refused.message, format!("configmaps \"a\" is forbidden: {message}"), "{name}");
        assert_eq!((refused.code, refused.causes[0].message.as_str()), (code, message.as_str()), "{name}");
    }
}

#[tokio::test]
async fn what_expressions_see() {
    let lab = Lab::new().await;
    let validations: Vec<Value> = [
        "object.data.a == '1' && oldObject == null && object.metadata.labels['app.example/x-y'] == 'z'",
        "request.operation == 'CREATE' && request.namespace == 'default' && request.resource.resource == 'configmaps'",
        "request.userInfo.username == 'system:apiserver' && request.dryRun && request.name == 'a'",
        "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'default'",
        "params == null",
        "variables.twice == '11' && variables.twice.size() == 2",
        "authorizer.group('').resource('configmaps').namespace('default').check('create').allowed()",
        "!authorizer.serviceAccount('default', 'nobody').group('').resource('secrets').check('get').allowed()",
        "authorizer.requestResource.check('create').allowed() && authorizer.path('/healthz').check('get').reason() == ''",
        "variables.wrong == 1 || true",
    ]
    .iter()
    .map(|source| json!({"expression": source}))
    .collect();
    let policy = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [
            {"name": "once", "expression": "object.data.a"}, {"name": "twice", "expression": "variables.once + variables.once"},
            {"name": "wrong", "expression": "object.nope"},
        ],
        "validations": validations,
    });
    lab.validating("p", policy, json!({})).await;
    lab.attempt(json!({"a": "1"})).await.unwrap();
}

#[tokio::test]
async fn who_is_asked() {
    let cases = [
        ("plain", json!({}), json!({}), true),
        ("another kind", json!({"matchConstraints": rules("pods")}), json!({}), false),
        (
            "excluded",
            json!({"matchConstraints": over(rules("*"), json!({"excludeResourceRules": rules("configmaps")["resourceRules"]}))}),
            json!({}),
            false,
        ),
        (
            "by name",
            json!({"matchConstraints": {"resourceRules": [over(rules("configmaps")["resourceRules"][0].clone(), json!({"resourceNames": ["a"]}))]}}),
            json!({}),
            true,
        ),
        (
            "another name",
            json!({"matchConstraints": {"resourceRules": [over(rules("configmaps")["resourceRules"][0].clone(), json!({"resourceNames": ["b"]}))]}}),
            json!({}),
            false,
        ),
        (
            "a condition",
            json!({"matchConditions": [{"name": "c", "expression": "object.data.a == '1'"}]}),
            json!({}),
            true,
        ),
        (
            "a false condition",
            json!({"matchConditions": [{"name": "c", "expression": "object.data.a == '2'"}]}),
            json!({}),
            false,
        ),
        (
            "a condition that fails",
            json!({"matchConditions": [{"name": "c", "expression": "object.x == '2'"}]}),
            json!({}),
            true,
        ),
        (
            "a condition that may fail",
            json!({"failurePolicy": "Ignore", "matchConditions": [{"name": "c", "expression": "object.x == '2'"}]}),
            json!({}),
            false,
        ),
        (
            "a binding's namespaces",
            json!({}),
            json!({"matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}}),
            true,
        ),
        (
            "a binding's other namespaces",
            json!({}),
            json!({"matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}}),
            false,
        ),
        (
            "a binding's objects",
            json!({}),
            json!({"matchResources": {"objectSelector": {"matchLabels": {"x": "y"}}}}),
            false,
        ),
        ("another policy's binding", json!({}), json!({"policyName": "q"}), false),
        ("audited", json!({}), json!({"validationActions": ["Audit"]}), false),
    ];
    for (name, policy, binding, asked) in cases {
        let lab = Lab::new().await;
        let policy = over(json!({"validations": [{"expression": "false"}]}), policy);
        lab.validating("p", policy, binding).await;
        let outcome = lab.attempt(json!({"a": "1"})).await;
        assert_eq!(outcome.is_err(), asked, "{name}: {:?}", outcome.err());
    }
}

#[tokio::test]
async fn a_warning_refuses_nothing() {
    let lab = Lab::new().await;
    let policy = json!({"validations": [{"expression": "false", "message": "mind"}]});
    lab.validating("p", policy, json!({"validationActions": ["Warn", "Audit"]})).await;
    let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
    lab.create("a", json!({}), &options).await.unwrap();
    assert_eq!(
        options.remarks.take_warnings(),
        ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': mind"]
    );
}

#[tokio::test]
async fn the_audit_log_hears_of_failures_and_of_what_a_policy_says_to_it() {
    let lab = Lab::new().await;
    let policy = json!({
        "validations": [{"expression": "true"}, {"expression": "false", "message": "mind"}],
        "auditAnnotations": [
            {"key": "name", "valueExpression": "'is ' + object.metadata.name"},
            {"key": "none", "valueExpression": "null"},
        ],
    });
    lab.validating("p", policy, json!({"validationActions": ["Warn", "Audit"]})).await;
    let options = WriteOptions { remarks: Remarks::collected().audited(true), ..WriteOptions::default() };
    lab.create("a", json!({}), &options).await.unwrap();
    let told: Vec<(String, String)> = options.remarks.take_annotations().into_iter().collect();
    let failure = r#"[{"message":"mind","policy":"p","binding":"p","expressionIndex":1,"validationActions":["Warn","Audit"]}]"#;
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let want = [("p/name", "is a"), ("validation.policy.admission.k8s.io/validation_failure", failure)];
    assert_eq!(told, want.map(owned));
}

#[tokio::test]
async fn parameters() {
    let policy = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConditions": [{"name": "not-params", "expression": "!object.metadata.name.startsWith('limit')"}],
        "validations": [{"expression": "int(object.data.n) <= int(params.data.most)", "messageExpression": "'at most ' + params.data.most"}],
    });
    let deny =
        |reference: Value| json!({"paramRef": over(json!({"parameterNotFoundAction": "Deny"}), reference)});
    let cases = [
        ("by name", deny(json!({"name": "limit-5"})), "denied request: at most 5"),
        (
            "by name, there",
            deny(json!({"name": "limit-5", "namespace": "default"})),
            "denied request: at most 5",
        ),
        (
            "by labels",
            deny(json!({"selector": {"matchLabels": {"app.example/x-y": "z"}}})),
            "denied request: at most 3",
        ),
        (
            "not there",
            deny(json!({"name": "limit-9"})),
            "denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
        ),
        (
            "not there, not needed",
            json!({"paramRef": {"name": "limit-9", "parameterNotFoundAction": "Allow"}}),
            "",
        ),
    ];
    for (name, binding, want) in cases {
        let lab = Lab::new().await;
        lab.create("limit-5", json!({"most": "5"}), &WriteOptions::default()).await.unwrap();
        lab.create("limit-3", json!({"most": "3"}), &WriteOptions::default()).await.unwrap();
        lab.validating("p", policy.clone(), binding).await;
        let told = lab.attempt(json!({"n": "7"})).await.map_or_else(|why| why.message, |_| String::new());
        assert!(told.ends_with(want) && told.is_empty() == want.is_empty(), "{name}: {told}");
    }
}

#[tokio::test]
async fn updates_and_deletions_are_judged_with_what_was() {
    let lab = Lab::new().await;
    let policy = json!({"validations": [
        {"expression": "request.operation != 'UPDATE' || object.data.a == oldObject.data.a", "message": "a stays"},
        {"expression": "request.operation != 'DELETE' || object == null && oldObject.data.a != 'keep'", "message": "it stays"},
    ]});
    lab.validating("p", policy, json!({})).await;
    lab.create("a", json!({"a": "keep"}), &WriteOptions::default()).await.unwrap();
    let version = lab.0.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
    let target = Target::object(&version, Some("default"), "a");
    let change = |current: &api::Object| {
        let mut map: ConfigMap = current.decode().unwrap();
        map.data = Some([("a".to_owned(), "2".to_owned())].into());
        Ok(Box::new(map) as Box<dyn kinds::Instance>)
    };
    let options = WriteOptions::default();
    let refused = lab.0.modify(&Actor::root(), &target, Verb::Update, &options, &change).await.unwrap_err();
    assert!(refused.message.ends_with("denied request: a stays"), "{}", refused.message);
    let refused = lab.0.delete(&Actor::root(), &target, &DeleteOptions::default()).await.unwrap_err();
    assert!(refused.message.ends_with("denied request: it stays"), "{}", refused.message);
    // and a policy can always be taken away
    let policies = lab.0.acting_as(Actor::root()).api::<ValidatingAdmissionPolicy>();
    policies.delete(&ObjectKey::cluster("p"), DeleteOptions::default()).await.unwrap();
    lab.0.delete(&Actor::root(), &target, &DeleteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn work_without_end_is_given_up() {
    let lab = Lab::new().await;
    let wide = "[1,2,3,4,5,6,7,8,9,10]";
    let loops = (0..8).rev().fold("true".to_owned(), |body, n| format!("{wide}.all(v{n}, {body})"));
    lab.validating("p", json!({"validations": [{"expression": loops}]}), json!({})).await;
    let refused = lab.attempt(json!({})).await.unwrap_err();
    assert!(
        refused.message.ends_with("operation cancelled: actual cost limit exceeded"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn annotations_are_checked() {
    let lab = Lab::new().await;
    let annotations = json!([{"key": "k", "valueExpression": "object.data.a"}]);
    lab.validating("p", json!({"auditAnnotations": annotations}), json!({"validationActions": ["Audit"]}))
        .await;
    lab.attempt(json!({"a": "text"})).await.unwrap();
    let refused = lab.attempt(json!({})).await.unwrap_err();
    assert!(refused.message.contains("expression 'object.data.a' resulted in error"), "{}", refused.message);
}

fn apply(source: &str) -> Value {
    json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": source}}])
}

fn patch(source: &str) -> Value {
    json!([{"patchType": "JSONPatch", "jsonPatch": {"expression": source}}])
}

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

#[tokio::test]
async fn nobody_has_read_what_he_may_not_read() {
    let lab = Lab::new().await;
    let user = Actor::user("jane", &[]);
    let root = lab.0.acting_as(Actor::root());
    let granted =
        json!([{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}]);
    let role: k8s_openapi::api::rbac::v1::ClusterRole =
        serde_json::from_value(json!({"metadata": {"name": "r"}, "rules": granted})).unwrap();
    root.api().create(role).await.unwrap();
    let binding: k8s_openapi::api::rbac::v1::ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "r"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]}))
    .unwrap();
    root.api().create(binding).await.unwrap();
    // the rules follow the store in a task of their own
    let asked = Attributes {
        verb: "create".into(),
        group: "admissionregistration.k8s.io".into(),
        resource: "validatingadmissionpolicies".into(),
        ..Attributes::default()
    };
    while !lab.0.decide(&user, &asked).is_allowed() {
        tokio::task::yield_now().await;
    }
    let jane = lab.0.acting_as(user);
    let spec = json!({"matchConstraints": rules("configmaps"), "paramKind": {"apiVersion": "v1", "kind": "Secret"},
                      "validations": [{"expression": "true"}]});
    let refused = jane.api().create(typed::<ValidatingAdmissionPolicy>("p", spec)).await.unwrap_err();
    let want = "user jane must have \"get\" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)";
    assert!(refused.is(Reason::Forbidden) && refused.message.ends_with(want), "{}", refused.message);
    let spec = json!({"policyName": "p", "validationActions": ["Deny"],
                      "paramRef": {"name": "s", "namespace": "default", "parameterNotFoundAction": "Deny"}});
    let refused = jane.api().create(typed::<ValidatingAdmissionPolicyBinding>("p", spec)).await.unwrap_err();
    let want = "user jane does not have \"get\" permission on the object referenced by paramRef";
    assert!(refused.message.ends_with(want), "{}", refused.message);
}

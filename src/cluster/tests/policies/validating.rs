//! Policies that judge.

use crate::lab::{Lab, over, rules, typed};
use api::{ObjectKey, Reason};
use cluster::{Actor, Attributes, DeleteOptions, Remarks, Target, Verb, WriteOptions};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kinds::TypedKind;
use serde_json::{Value, json};

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

#[tokio::test]
async fn it_is_known_whether_anything_is_evaluated() {
    let lab = Lab::new().await;
    let version = lab.0.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
    assert!(!lab.0.evaluates(&version));
    lab.validating("p", json!({"validations": [{"expression": "true"}]}), json!({})).await;
    assert!(lab.0.evaluates(&version));
}

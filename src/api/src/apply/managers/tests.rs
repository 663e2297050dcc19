//! Who owns which field after creates, updates, patches and applies that follow one another.

use super::super::testing::Sample;
use super::*;

fn who(manager: &str) -> Who<'_> {
    Who { manager, subresource: None, api_version: "apps/v1", now: "2026-01-01T00:00:00Z" }
}

fn web(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

/// As the store would have it.
fn stored(mut object: Value) -> Value {
    object["metadata"]["uid"] = "u".into();
    object
}

fn applied(live: &Value, spec: Value, manager: &str) -> Result<Value, ApplyError> {
    apply(live, &web(spec), who(manager), false, &Sample).map(stored)
}

fn fields(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|e| e["manager"] == manager).map_or(Value::Null, |e| e["fieldsV1"].clone())
}

fn create(object: &Value, who: Who<'_>) -> Value {
    json!(super::create(object, who, &Sample).unwrap())
}

/// The managed fields of `new`.
fn updated(old: &Value, new: &Value, who: Who<'_>) -> Value {
    let managed = Vec::<Entry>::deserialize(managed_fields_of(old)).unwrap();
    json!(update(old, new, managed, who, &Sample).unwrap())
}

#[test]
fn the_first_apply_owns_what_it_says() {
    let object = applied(&json!({}), json!({"replicas": 1}), "helm").unwrap();
    assert_eq!(object["spec"], json!({"replicas": 1}));
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "helm", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}])
    );
}

#[test]
fn what_is_no_longer_said_goes_unless_others_want_it() {
    let first = applied(&json!({}), json!({"replicas": 1, "paused": true, "min": 3}), "helm").unwrap();
    let second = applied(&first, json!({"paused": true}), "ops").unwrap();
    let third = applied(&second, json!({"replicas": 1}), "helm").unwrap();
    assert_eq!(third["spec"], json!({"replicas": 1, "paused": true}));
    assert_eq!(fields(&third, "helm"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn the_metadata_stays_when_nobody_wants_anything_of_it_any_more() {
    let labelled = |labels: Value| {
        let mut object = web(json!({"replicas": 1, "paused": true}));
        object["metadata"]["labels"] = labels;
        object
    };
    let wanted = labelled(json!({"app": "web"}));
    let mut first = stored(apply(&json!({}), &wanted, who("helm"), false, &Sample).unwrap());
    first["metadata"]["finalizers"] = json!(["nobodys"]);
    let second = applied(&first, json!({"replicas": 1, "paused": true}), "helm").unwrap();
    let metadata = &second["metadata"];
    assert_eq!(metadata.get("labels"), None);
    assert_eq!(metadata["finalizers"], json!(["nobodys"]));
    assert_eq!(fields(&second, "helm"), json!({"f:spec": {"f:paused": {}, "f:replicas": {}}}));
    // and so it is known what goes when less is said again
    let third = applied(&second, json!({"replicas": 1}), "helm").unwrap();
    assert_eq!(third["spec"], json!({"replicas": 1}));
}

#[test]
fn two_who_want_different_things_conflict() {
    let first = applied(&json!({}), json!({"replicas": 1}), "helm").unwrap();
    let want = Conflict { manager: "\"helm\"".into(), path: ".spec.replicas".into() };
    let refused = applied(&first, json!({"replicas": 2}), "ops");
    assert_eq!(refused.unwrap_err(), ApplyError::Conflicts(vec![want]));
    let forced = apply(&first, &web(json!({"replicas": 2})), who("ops"), true, &Sample).unwrap();
    assert_eq!(forced["spec"]["replicas"], 2);
    assert_eq!(
        (fields(&forced, "helm"), fields(&forced, "ops")),
        (Value::Null, json!({"f:spec": {"f:replicas": {}}}))
    );
    // the same wish is shared
    let shared = applied(&first, json!({"replicas": 1}), "ops").unwrap();
    assert_eq!(fields(&shared, "helm"), fields(&shared, "ops"));
}

#[test]
fn a_change_by_another_verb_takes_the_field() {
    let old = applied(&json!({}), json!({"replicas": 1, "paused": true}), "helm").unwrap();
    let mut new = old.clone();
    new["spec"] = json!({"replicas": 5});
    let scale = Who { subresource: Some("scale"), ..who("kubectl") };
    new["metadata"]["managedFields"] = updated(&old, &new, scale);
    assert_eq!(fields(&new, "helm"), Value::Null);
    assert_eq!(fields(&new, "kubectl"), json!({"f:spec": {"f:replicas": {}}}));
    let ApplyError::Conflicts(conflicts) = applied(&new, json!({"replicas": 1}), "helm").unwrap_err() else {
        panic!()
    };
    assert_eq!(
        conflicts[0].manager,
        "\"kubectl\" with subresource \"scale\" using apps/v1 at 2026-01-01T00:00:00Z"
    );
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let first =
        applied(&json!({}), json!({"env": [{"name": "a", "value": "1"}], "replicas": 1}), "helm").unwrap();
    let later = Who { now: "2027-01-01T00:00:00Z", ..who("helm") };
    let again = apply(
        &first,
        &web(json!({"replicas": 1, "env": [{"name": "a", "value": "1"}]})),
        later,
        false,
        &Sample,
    );
    assert_eq!(again.unwrap(), first);
}

#[test]
fn who_changes_a_value_that_is_his_does_so_now() {
    const LATER: &str = "2027-01-01T00:00:00Z";
    let time = |object: &Value| object["metadata"]["managedFields"][0]["time"].clone();
    let first = applied(&json!({}), json!({"replicas": 1}), "helm").unwrap();
    let later = Who { now: LATER, ..who("helm") };
    let again = apply(&first, &web(json!({"replicas": 2})), later, false, &Sample).unwrap();
    assert_eq!(time(&again), LATER);

    let mut old = stored(web(json!({"replicas": 1, "min": 1})));
    old["metadata"]["managedFields"] = create(&old, who("helm"));
    let mut new = old.clone();
    new["spec"]["replicas"] = 2.into();
    new["metadata"]["managedFields"] = updated(&old, &new, later);
    assert_eq!((time(&new), fields(&new, "helm")), (LATER.into(), fields(&old, "helm")));
    // what is only left out nobody has set
    let mut less = old.clone();
    less["spec"] = json!({"replicas": 1});
    less["metadata"]["managedFields"] = updated(&old, &less, later);
    assert_eq!((time(&less), fields(&less, "helm")), (time(&old), json!({"f:spec": {"f:replicas": {}}})));
}

#[test]
fn the_oldest_of_many_updaters_are_one() {
    let mut object = stored(web(json!({"replicas": 0})));
    object["metadata"]["managedFields"] = create(&object, who("creator"));
    for n in 1..=12 {
        let mut new = object.clone();
        new["spec"][format!("f{n}")] = n.into();
        let now = format!("2026-01-01T00:00:{n:02}Z");
        let (name, api_version) = (format!("m{n}"), if n % 2 == 0 { "apps/v1" } else { "apps/v2" });
        let who = Who { manager: &name, subresource: None, api_version, now: &now };
        new["metadata"]["managedFields"] = updated(&object, &new, who);
        object = new;
    }
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let told: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry["manager"].as_str().unwrap(), entry["apiVersion"].as_str().unwrap()))
        .collect();
    assert_eq!(told.len(), 10, "{told:?}");
    assert_eq!(
        told[..3],
        [("ancient-changes", "apps/v2"), ("ancient-changes", "apps/v1"), ("m5", "apps/v2")]
    );
    assert_eq!(entries[0]["fieldsV1"], json!({"f:spec": {"f:f1": {}, "f:f3": {}}}));
    // nothing is lost
    let all: usize = entries.iter().map(|entry| entry["fieldsV1"]["f:spec"].as_object().unwrap().len()).sum();
    assert_eq!(all, 13);
}

/// Clients write them as they like, up to a body's size.
#[test]
fn thousands_of_entries_take_no_product_of_time() {
    let entry = |n: usize, operation: &str, fields: Value| {
        json!({"manager": format!("m{n}"), "operation": operation, "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}})
    };
    let mut old = stored(web(json!({"replicas": 0})));
    let updaters = (0..20_000).map(|n| entry(n, "Update", json!({format!("f:g{n}"): {}})));
    let appliers = (0..10_000).map(|n| entry(n, "Apply", json!({"f:other": {}})));
    let mut new = old.clone();
    let spec: serde_json::Map<String, Value> = (0..20_000).map(|n| (format!("f{n}"), json!(n))).collect();
    new["spec"] = spec.into();
    old["metadata"]["managedFields"] = updaters.chain(appliers).collect();
    let managed = updated(&old, &new, who("me"));
    let of = |operation: &str| {
        managed.as_array().unwrap().iter().filter(|entry| entry["operation"] == operation).count()
    };
    assert_eq!((of("Update"), of("Apply")), (10, 10_000));
    let ancient = managed.as_array().unwrap().iter().find(|entry| entry["manager"] == ANCIENT).unwrap();
    assert_eq!(ancient["fieldsV1"]["f:spec"].as_object().unwrap().len(), 20_000 - 8);
}

#[test]
fn of_many_conflicts_the_first_are_told() {
    let spec = |value: u32| -> Value {
        let all: serde_json::Map<String, Value> =
            (0..5000).map(|n| (format!("f{n}"), json!(value))).collect();
        all.into()
    };
    let mut live = stored(web(spec(1)));
    live["metadata"]["managedFields"] = create(&live, who("creator"));
    live["metadata"]["managedFields"][0]["apiVersion"] = "v".repeat(100_000).into();
    let ApplyError::Conflicts(conflicts) = applied(&live, spec(2), "helm").unwrap_err() else { panic!() };
    assert_eq!(conflicts.len(), 3, "no more than fit");
}

#[test]
fn what_nobody_changed_stays_whose_it_was() {
    let mut object = stored(web(json!({"replicas": 1, "min": 1})));
    object["metadata"]["managedFields"] = create(&object, who("kubectl-create"));
    let later = Who { now: "2027-01-01T00:00:00Z", ..who("") };
    let same = updated(&object, &object, later);
    assert_eq!(same, object["metadata"]["managedFields"]);
    let mut new = object.clone();
    new["spec"] = json!({"replicas": 2, "paused": true});
    new["metadata"]["managedFields"] = updated(&object, &new, later);
    assert_eq!(fields(&new, "kubectl-create"), Value::Null, "what is left of it nobody has");
    assert_eq!(fields(&new, "unknown"), json!({"f:spec": {"f:paused": {}, "f:replicas": {}}}));
}

#[test]
fn the_parts_of_one_manager_stand_in_one_order() {
    let mut object = stored(web(json!({"replicas": 1})));
    object["metadata"]["managedFields"] = create(&object, who("manager"));
    for n in 2..6 {
        let (field, subresource) = if n % 2 == 0 { ("seen", Some("status")) } else { ("replicas", None) };
        let mut new = object.clone();
        new["spec"][field] = n.into();
        let who = Who { subresource, ..who("manager") };
        new["metadata"]["managedFields"] = updated(&object, &new, who);
        object = new;
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        let parts: Vec<_> = entries.iter().map(|entry| entry["subresource"].as_str()).collect();
        assert_eq!(parts, [None, Some("status")], "{n}");
    }
}

#[test]
fn what_kubectl_applied_last_is_kept_where_it_looks_for_it() {
    let mut live = stored(web(json!({"replicas": 1})));
    live["metadata"]["annotations"] = json!({LAST_APPLIED: web(json!({"replicas": 1})).to_string()});
    live["metadata"]["managedFields"] = create(&live, who("kubectl-client-side-apply"));
    let new = applied(&live, json!({"replicas": 2}), "kubectl").unwrap();
    let last = new["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap(), web(json!({"replicas": 2})));
    assert_eq!(fields(&new, "kubectl"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn an_object_without_managed_fields_belongs_to_those_before() {
    let mut live = stored(web(json!({"replicas": 1})));
    let ApplyError::Conflicts(conflicts) = applied(&live, json!({"replicas": 2}), "helm").unwrap_err() else {
        panic!()
    };
    assert!(conflicts[0].manager.starts_with("\"before-first-apply\" using apps/v1"));
    // what kubectl applied from the client's side, kubectl takes over
    live["metadata"]["annotations"] = json!({LAST_APPLIED: web(json!({"replicas": 1})).to_string()});
    assert!(applied(&live, json!({"replicas": 2}), "helm").is_err());
    assert_eq!(applied(&live, json!({"replicas": 2}), "kubectl").unwrap()["spec"]["replicas"], 2);
}

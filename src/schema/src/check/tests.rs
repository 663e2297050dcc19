use super::walk::{MOST_FAULTS, MOST_TOLD};
use super::*;
use crate::table;

fn faults(kind: &str, json: &str) -> Result<Vec<String>, String> {
    let schema = table::named(kind).expect("a type of the table");
    check(json.as_bytes(), schema).map(|checked| checked.faults).map_err(|wrong| wrong.0)
}

#[test]
fn what_a_client_sends_is_checked_beside_its_schema() {
    let deployment = "apps.v1.Deployment";
    let cases: &[(&str, &str, &str, Result<&[&str], &str>)] = &[
        (
            "good",
            deployment,
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","labels":{"a":"b"}},"spec":{"replicas":2}}"#,
            Ok(&[]),
        ),
        (
            "null is nothing",
            deployment,
            r#"{"metadata":null,"spec":{"replicas":null,"template":null}}"#,
            Ok(&[]),
        ),
        (
            "unknown",
            deployment,
            r#"{"spec":{"replica":2,"template":{"spec":{"containers":[{"name":"a"},{"imag":{"deeper":1}}]}}}}"#,
            Ok(&[
                "unknown field \"spec.replica\"",
                "unknown field \"spec.template.spec.containers[1].imag\"",
            ]),
        ),
        ("unknown at the root", deployment, r#"{"specs":1}"#, Ok(&["unknown field \"specs\""])),
        ("kind is the root's", deployment, r#"{"spec":{"kind":"x"}}"#, Ok(&["unknown field \"spec.kind\""])),
        (
            "doubled",
            deployment,
            r#"{"spec":{"replicas":1,"replicas":2}}"#,
            Ok(&["duplicate field \"spec.replicas\""]),
        ),
        (
            "doubled label",
            deployment,
            r#"{"metadata":{"labels":{"a":"1","a":"2"}}}"#,
            Ok(&["duplicate field \"metadata.labels.a\""]),
        ),
        (
            "string for a number",
            deployment,
            r#"{"spec":{"replicas":"2"}}"#,
            Err(
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
        ),
        (
            "number for a string",
            "core.v1.Pod",
            r#"{"spec":{"containers":[{"image":5}]}}"#,
            Err(
                "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
            ),
        ),
        (
            "bool in labels",
            "core.v1.Pod",
            r#"{"metadata":{"labels":{"a":true}}}"#,
            Err("json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string"),
        ),
        (
            "string for a list",
            "core.v1.Pod",
            r#"{"spec":{"containers":"none"}}"#,
            Err(
                "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
            ),
        ),
        (
            "list for an object",
            "core.v1.Pod",
            r#"{"spec":[]}"#,
            Err("json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ),
        (
            "too large",
            deployment,
            r#"{"spec":{"replicas":3000000000}}"#,
            Err(
                "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
        ),
        (
            "broken",
            deployment,
            r#"{"spec":{"replicas":1.5}}"#,
            Err(
                "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
        ),
        (
            "a port by name",
            "core.v1.Service",
            r#"{"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8}]}}"#,
            Ok(&[]),
        ),
        (
            "a port that is an object",
            "core.v1.Service",
            r#"{"spec":{"ports":[{"targetPort":{}}]}}"#,
            Err(
                "json: cannot unmarshal object into Go struct field ServicePort.spec.ports.targetPort of type int32",
            ),
        ),
        (
            "quantities",
            "core.v1.Pod",
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":1,"memory":"1Gi"}}}]}}"#,
            Ok(&[]),
        ),
        ("base64", "core.v1.Secret", r#"{"data":{"a":"aGVsbG8="},"stringData":{"b":"?"}}"#, Ok(&[])),
        (
            "no base64",
            "core.v1.Secret",
            r#"{"data":{"a":"aGV*bG8="}}"#,
            Err("illegal base64 data at input byte 3"),
        ),
        (
            "no time",
            "core.v1.Pod",
            r#"{"metadata":{"creationTimestamp":"soon"}}"#,
            Err("parsing time \"soon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"soon\" as \"2006\""),
        ),
        (
            "whatever is raw",
            "apps.v1.ControllerRevision",
            r#"{"data":{"a":[1,{"b":null}]},"revision":1}"#,
            Ok(&[]),
        ),
        (
            "a schema within itself",
            "apiextensions.v1.CustomResourceDefinition",
            r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{"properties":{"b":{"typ":"x"}}}}}}}]}}"#,
            Ok(&["unknown field \"spec.versions[0].schema.openAPIV3Schema.properties.a.properties.b.typ\""]),
        ),
        (
            "not an object",
            deployment,
            "[]",
            Err("json: cannot unmarshal array into Go value of type v1.Deployment"),
        ),
    ];
    for (name, kind, json, want) in cases {
        let got = faults(kind, json);
        let got = got.as_ref().map(|faults| faults.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(got.as_deref().map_err(|e| e.as_str()), *want, "{name}");
    }
    assert!(faults(deployment, r#"{"spec":"#).unwrap_err().starts_with("json: EOF"));
    assert!(faults(deployment, "{} {}").unwrap_err().contains("trailing"));
}

#[test]
fn base64_that_only_go_reads_is_told() {
    let secret = table::named("core.v1.Secret").unwrap();
    assert!(check(br#"{"data":{"a":"aGVs\nbG8="}}"#, secret).unwrap().loose_bytes);
    assert!(!check(br#"{"data":{"a":"aGVsbG8="}}"#, secret).unwrap().loose_bytes);
}

#[test]
fn of_a_custom_object_the_metadata_is_known() {
    let json = br#"{"metadata":{"name":"a","label":{}},"spec":{"x":1,"x":2,"list":[{"y":1,"y":1}]}}"#;
    let want = [
        "unknown field \"metadata.label\"",
        "duplicate field \"spec.x\"",
        "duplicate field \"spec.list[0].y\"",
    ];
    assert_eq!(check_custom(json).unwrap().faults, want);
    let wrong = check_custom(br#"{"metadata":{"name":1}}"#).unwrap_err();
    assert_eq!(
        wrong.0,
        "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"
    );
}

#[test]
fn doubled_fields_are_found_in_what_is_no_object_of_a_kind() {
    for (json, want) in [
        (r#"{"a":1,"metadata":{"x":1}}"#, &[][..]),
        (r#"{"a":{"b":1,"b":2},"a":2}"#, &["duplicate field \"a.b\"", "duplicate field \"a\""]),
        (r#"[{"op":"add","op":"add"}]"#, &["duplicate field \"[0].op\""]),
    ] {
        assert_eq!(doubled_fields(json.as_bytes()).unwrap(), want, "{json}");
    }
    assert!(doubled_fields(b"a: 1").is_err());
}

#[test]
fn no_more_is_told_than_somebody_reads() {
    let many: Vec<String> = (0..1_000).map(|n| format!("\"x{n}\":1")).collect();
    let json = format!("{{\"spec\":{{{}}}}}", many.join(","));
    assert_eq!(faults("apps.v1.Deployment", &json).unwrap().len(), MOST_FAULTS);
    let below = format!(r#"{{"{}":{{{}}}}}"#, "x".repeat(MOST_TOLD), [r#""a":1"#; 300].join(","));
    let told = doubled_fields(below.as_bytes()).unwrap();
    assert_eq!(told.len(), 1, "each would have the long key");
}

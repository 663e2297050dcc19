use super::field::{Field, Type};
use super::table::Table;
use super::{MAGIC, wire};
use super::{ProtobufError, encode, watch_event_head};
use serde_json::{Value, json};

fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    super::decode(body, 1000)
}

#[test]
fn the_table_is_whole() {
    let table = Table::get();
    for (name, fields) in table.all() {
        for Field { of, json, .. } in fields {
            if let Type::Message(inner) = of {
                assert!(table.message(inner).is_some(), "{name}.{json}: {inner}");
            }
        }
    }
}

#[test]
fn every_served_kind_has_its_message_and_its_list() {
    // definitions are in JSON only, as their clients write them
    let all = kinds::all();
    let in_protobuf = all.versions().filter(|version| version.info().gvk.group != "apiextensions.k8s.io");
    for version in in_protobuf {
        let gvk = &version.info().gvk;
        for kind in [gvk.kind.to_string(), format!("{}List", gvk.kind)] {
            assert!(
                Table::get().of_kind(&gvk.api_version(), &kind).is_some(),
                "{} {kind}",
                gvk.api_version()
            );
        }
    }
    for (api_version, kind) in [
        ("v1", "DeleteOptions"),
        ("apps/v1", "DeleteOptions"),
        ("v1", "Status"),
        ("v1", "Binding"),
        ("apidiscovery.k8s.io/v2", "APIGroupDiscoveryList"),
        ("policy/v1", "Eviction"),
        ("autoscaling/v1", "Scale"),
        ("authentication.k8s.io/v1", "TokenRequest"),
        ("authentication.k8s.io/v1", "TokenReview"),
        ("authentication.k8s.io/v1", "SelfSubjectReview"),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
        ("authorization.k8s.io/v1", "SubjectAccessReview"),
        ("authorization.k8s.io/v1", "LocalSubjectAccessReview"),
    ] {
        assert!(Table::get().of_kind(api_version, kind).is_some(), "{api_version} {kind}");
    }
}

fn deployment() -> Value {
    json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {
            "name": "web", "labels": {"app": "web", "empty": ""}, "creationTimestamp": "2026-01-02T03:04:05Z",
            "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "replicas": 0,
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {"spec": {
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "securityContext": {"supplementalGroups": [1, 2]},
                "volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}}],
                "containers": [{
                    "name": "a", "image": "busybox", "args": ["", "x"],
                    "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": false}}}],
                    "resources": {"limits": {"cpu": "500m"}},
                    "livenessProbe": {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 3},
                }],
            }},
        },
    })
}

#[test]
fn what_is_written_is_read_again() {
    let objects = [
        deployment(),
        json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"k": "AAH/", "e": ""}, "type": "Opaque"}),
        json!({
            "kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "l"},
            "spec": {"holderIdentity": "", "renewTime": "2026-01-02T03:04:05.000006Z"},
        }),
        json!({
            "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
            "spec": {"user": "u", "extra": {"scopes": ["a", "b"]}}, "status": {"allowed": false},
        }),
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}),
    ];
    for object in objects {
        assert_eq!(decode(&encode(&object).unwrap()).as_ref(), Ok(&object));
    }
}

/// What Go writes for fields that nobody set.
#[test]
fn zeroes_of_go_are_left_out() {
    let mut port = Vec::new();
    wire::put_bytes(&mut port, 1, b"");
    wire::put_bytes(&mut port, 2, b"");
    wire::put_varint(&mut port, 3, 80);
    let mut zero = Vec::new();
    wire::put_varint(&mut zero, 1, 0);
    wire::put_varint(&mut zero, 2, 0);
    wire::put_bytes(&mut zero, 3, b"");
    wire::put_bytes(&mut port, 4, &zero);
    wire::put_varint(&mut port, 5, 0);
    let (mut spec, mut raw, mut meta) = (Vec::new(), Vec::new(), Vec::new());
    wire::put_bytes(&mut spec, 1, &port);
    wire::put_bytes(&mut spec, 3, b"");
    wire::put_bytes(&mut meta, 8, b"");
    wire::put_bytes(&mut raw, 1, &meta);
    wire::put_bytes(&mut raw, 2, &spec);
    let service = wrapped("v1", "Service", &raw);
    let want =
        json!({"kind": "Service", "apiVersion": "v1", "metadata": {}, "spec": {"ports": [{"port": 80}]}});
    assert_eq!(decode(&service), Ok(want));
}

fn wrapped(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let (mut meta, mut out) = (Vec::new(), MAGIC.to_vec());
    wire::put_bytes(&mut meta, 1, api_version.as_bytes());
    wire::put_bytes(&mut meta, 2, kind.as_bytes());
    wire::put_bytes(&mut out, 1, &meta);
    wire::put_bytes(&mut out, 2, raw);
    out
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(decode(b"{\"kind\":\"Pod\"}"), Err(ProtobufError::Magic));
    assert!(matches!(decode(&wrapped("v1", "Nothing", b"")), Err(ProtobufError::UnknownKind { .. })));
    assert_eq!(decode(&wrapped("v1", "Pod", &[0x0a, 0x7f])), Err(ProtobufError::Short(1)));
    assert!(
        matches!(decode(&wrapped("v1", "Pod", &[0x08, 1])), Err(ProtobufError::WireType(_))),
        "metadata as a number"
    );
    assert!(matches!(decode(&wrapped("v1", "Pod", &[0x0b])), Err(ProtobufError::Tag(_))), "a group");
    let not_text = [0x0a, 3, 0x0a, 1, 0xff];
    assert!(matches!(decode(&wrapped("v1", "Pod", &not_text)), Err(ProtobufError::Value { .. })));
}

/// Two bytes each: a body of three megabytes would become hundreds.
#[test]
fn more_values_than_allowed_are_refused() {
    let containers = |count: usize| {
        let mut spec = Vec::new();
        (0..count).for_each(|_| wire::put_bytes(&mut spec, 2, b""));
        let mut pod = Vec::new();
        wire::put_bytes(&mut pod, 2, &spec);
        wrapped("v1", "Pod", &pod)
    };
    assert_eq!(decode(&containers(999)).unwrap()["spec"]["containers"].as_array().unwrap().len(), 999);
    assert_eq!(decode(&containers(1000)), Err(ProtobufError::TooMany));
}

/// Every cut and every changed byte of a good message is an answer, never a panic.
#[test]
fn broken_messages_do_no_harm() {
    let good = encode(&deployment()).unwrap();
    for at in 0..good.len() {
        let _ = decode(&good[..at]);
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let _ = decode(&bad);
        }
    }
}

#[test]
fn a_watch_event_is_led_by_its_length() {
    let event = [&watch_event_head("ADDED", 6)[..], b"object"].concat();
    assert_eq!(event[..4], ((event.len() - 4) as u32).to_be_bytes());
    assert_eq!(event[4..], [&[0x0a, 5][..], b"ADDED", &[0x12, 8, 0x0a, 6], b"object"].concat());
}

/// The bodies of `kubectl create` and `kubectl auth can-i`, as they came over the wire.
#[test]
fn what_kubectl_posts_is_read() {
    let wanted = [
        (
            "deployment",
            json!({
                "kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d", "labels": {"app": "d"}},
                "spec": {
                    "replicas": 2, "selector": {"matchLabels": {"app": "d"}}, "strategy": {},
                    "template": {
                        "metadata": {"labels": {"app": "d"}},
                        "spec": {
                            "containers": [{"name": "busybox", "image": "busybox:1", "ports": [{"containerPort": 80}], "resources": {}}],
                        },
                    },
                },
                "status": {},
            }),
        ),
        (
            "service",
            json!({
                "kind": "Service", "apiVersion": "v1", "metadata": {"name": "svc", "labels": {"app": "svc"}},
                "spec": {
                    "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
                    "selector": {"app": "svc"}, "type": "ClusterIP",
                },
                "status": {"loadBalancer": {}},
            }),
        ),
        (
            "access-review",
            json!({
                "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
                "spec": {"resourceAttributes": {"namespace": "default", "verb": "create", "resource": "pods"}},
                "status": {"allowed": false},
            }),
        ),
        (
            "secret",
            json!({
                "kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"a": "Yg=="},
            }),
        ),
        (
            "token-request",
            json!({
                "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
                "spec": {}, "status": {"token": ""},
            }),
        ),
    ];
    let golden = include_str!("golden/kubectl.tsv");
    for (name, want) in wanted {
        let hex = golden.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t')).expect(name);
        let body: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(decode(&body).as_ref(), Ok(&want), "{name}");
    }
}

/// As a Go client writes it: what is no pointer there is always written, be it `""` or 0.
fn with_zeros(message: &str, object: &mut Value) {
    let Some(fields) = Table::get().message(message) else { return };
    for field in fields {
        let Field { json: name, many, of, keeps_zero, .. } = field;
        if let Type::Message(inner) = of {
            let nested = match field.is_inline() {
                true => Some(&mut *object),
                false => object.get_mut(*name),
            };
            match nested {
                Some(Value::Array(items)) => items.iter_mut().for_each(|item| with_zeros(inner, item)),
                Some(nested) => with_zeros(inner, nested),
                None => {}
            }
            continue;
        }
        let zero = match of {
            Type::String => json!(""),
            Type::Integer | Type::Special(super::field::Special::IntOrString) => json!(0),
            Type::Bool => json!(false),
            _ => continue,
        };
        if *many == super::field::Many::One && !keeps_zero && object.is_object() {
            object.as_object_mut().unwrap().entry(*name).or_insert(zero);
        }
    }
}

/// A served kind from its protobuf, with its defaults.
fn made(kind: &str, json: &Value) -> Box<dyn kinds::Instance> {
    let registry = kinds::all();
    let version = registry.versions().find(|h| *h.info().gvk.kind == *kind).unwrap();
    let bytes = serde_json::to_vec(json).unwrap();
    let mut object = version.decode(&bytes, kinds::FieldValidation::Strict).unwrap().instance;
    object.set_defaults();
    object
}

#[test]
fn what_go_writes_because_it_must_is_as_if_left_out() {
    let meta = json!({"name": "a", "namespace": "default"});
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let cases = [
        (
            "service",
            "core.v1.Service",
            json!({"kind": "Service", "apiVersion": "v1", "metadata": meta,
            "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}),
        ),
        (
            "pod",
            "core.v1.Pod",
            json!({"kind": "Pod", "apiVersion": "v1", "metadata": meta,
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "securityContext": {"runAsUser": 0},
                "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 0}],
                "volumes": [{"name": "v", "hostPath": {"path": "/x"}}, {"name": "w", "secret": {"secretName": "s", "defaultMode": 0}}],
                "containers": [{
                    "name": "c", "image": "x",
                    "ports": [{"containerPort": 80}],
                    "env": [{"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "volumeMounts": [{"name": "v", "mountPath": "/x"}],
                    "livenessProbe": {"httpGet": {"port": 80}},
                    "readinessProbe": {"grpc": {"port": 80}},
                    "lifecycle": {"postStart": {"httpGet": {"port": "http"}}},
                    "securityContext": {"privileged": false},
                }],
            }}),
        ),
        (
            "deployment",
            "apps.v1.Deployment",
            json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": meta,
            "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template,
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}}),
        ),
        (
            "replication controller",
            "core.v1.ReplicationController",
            json!({"kind": "ReplicationController", "apiVersion": "v1", "metadata": meta, "spec": {"template": template}}),
        ),
        (
            "endpoints",
            "core.v1.Endpoints",
            json!({"kind": "Endpoints", "apiVersion": "v1", "metadata": meta,
            "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
        ),
        (
            "endpoint slice",
            "discovery.v1.EndpointSlice",
            json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": meta, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}],
            "ports": [{"port": 80}]}),
        ),
        (
            "secret",
            "core.v1.Secret",
            json!({"kind": "Secret", "apiVersion": "v1", "metadata": meta, "data": {"a": "eA=="}}),
        ),
        (
            "role binding",
            "rbac.v1.RoleBinding",
            json!({"kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1",
            "metadata": meta, "roleRef": {"kind": "Role", "name": "x"},
            "subjects": [{"kind": "User", "name": "a"}, {"kind": "ServiceAccount", "name": "b"}]}),
        ),
        (
            "ingress",
            "networking.v1.Ingress",
            json!({"kind": "Ingress", "apiVersion": "networking.k8s.io/v1", "metadata": meta,
            "spec": {"rules": [{"http": {"paths": [{"pathType": "Prefix", "path": "/",
                "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}),
        ),
        (
            "priority class",
            "scheduling.v1.PriorityClass",
            json!({"kind": "PriorityClass",
            "apiVersion": "scheduling.k8s.io/v1", "metadata": {"name": "a"}, "value": 0}),
        ),
    ];
    for (name, message, plain) in cases {
        let kind = plain["kind"].as_str().unwrap();
        let mut zeros = plain.clone();
        with_zeros(message, &mut zeros);
        assert_ne!(zeros, plain, "{name}: the client writes nothing more");
        let received = decode(&encode(&zeros).unwrap()).unwrap();
        assert!(made(kind, &received).same_as(&*made(kind, &plain)), "{name}: {received}");
    }
}

//! What may become of an object, and what upstream says of the rest.

use crate::common::{check, created, defaulted, merge, pod, service, told, version};
use kinds::ErrorList;
use serde_json::{Value, json};

/// What an update of the whole object is told; `patch` is merged into the old one.
fn update(old: &Value, patch: &Value) -> Vec<String> {
    let registry = kinds::all();
    let version = version(&registry, old);
    let before = created(&version, old);
    let mut object = old.clone();
    merge(&mut object, patch);
    let mut new = defaulted(&version, &object);
    new.meta_mut().namespace.clone_from(&before.meta().namespace);
    new.prepare_update(&*before);
    let mut errors = ErrorList::default();
    new.validate(&mut errors);
    new.validate_update(&*before, &mut errors);
    version.validate_version(&*new, Some(&*before), &mut errors);
    told(errors)
}

#[test]
fn of_a_pod_little_may_change() {
    let image = |image: &str| json!({"spec": {"containers": [{"name": "c", "image": image}]}});
    let only = "spec: Forbidden: pod updates may not change fields other than";
    let gated = json!({"schedulingGates": [{"name": "g"}], "nodeSelector": {"a": "b"}});
    let cases = [
        ("another image", json!({}), image("y"), ""),
        ("no image", json!({}), image(""), "spec.containers[0].image: Required value"),
        (
            "what a Go client makes of it",
            json!({"hostNetwork": false, "tolerations": []}),
            json!({"spec": {"hostNetwork": null, "tolerations": null}}),
            "",
        ),
        (
            "another container",
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": "x"}, {"name": "d", "image": "x"}]}}),
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            "a container less",
            json!({"initContainers": [{"name": "i", "image": "x"}]}),
            json!({"spec": {"initContainers": []}}),
            "spec.initContainers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            "another command",
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": "x", "command": ["y"]}]}}),
            only,
        ),
        ("a node", json!({}), json!({"spec": {"nodeName": "n"}}), only),
        ("another grace period", json!({}), json!({"spec": {"terminationGracePeriodSeconds": 1}}), only),
        (
            "one second for a negative grace period",
            json!({"terminationGracePeriodSeconds": -1}),
            json!({"spec": {"terminationGracePeriodSeconds": 1}}),
            "",
        ),
        ("root for nobody", json!({}), json!({"spec": {"securityContext": {"runAsUser": 0}}}), only),
        ("a deadline", json!({}), json!({"spec": {"activeDeadlineSeconds": 5}}), ""),
        (
            "an earlier deadline",
            json!({"activeDeadlineSeconds": 5}),
            json!({"spec": {"activeDeadlineSeconds": 4}}),
            "",
        ),
        (
            "a later deadline",
            json!({"activeDeadlineSeconds": 5}),
            json!({"spec": {"activeDeadlineSeconds": 6}}),
            "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value",
        ),
        (
            "no deadline any more",
            json!({"activeDeadlineSeconds": 5}),
            json!({"spec": {"activeDeadlineSeconds": null}}),
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        ),
        (
            "one more toleration",
            json!({"tolerations": [{"key": "a", "operator": "Exists"}]}),
            json!({"spec": {"tolerations": [{"key": "b", "operator": "Exists"}, {"key": "a", "operator": "Exists"}]}}),
            "",
        ),
        (
            "a toleration for longer",
            json!({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}),
            json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 6}]}}),
            "",
        ),
        (
            "a toleration less",
            json!({"tolerations": [{"key": "a", "operator": "Exists"}]}),
            json!({"spec": {"tolerations": []}}),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        ("a gate less", gated.clone(), json!({"spec": {"schedulingGates": []}}), ""),
        (
            "a gate more",
            json!({}),
            json!({"spec": {"schedulingGates": [{"name": "g"}]}}),
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'",
        ),
        ("narrower, behind a gate", gated.clone(), json!({"spec": {"nodeSelector": {"c": "d"}}}), ""),
        (
            "wider, behind a gate",
            gated,
            json!({"spec": {"nodeSelector": null}}),
            "spec.nodeSelector: Invalid value: {}: only additions to spec.nodeSelector are allowed",
        ),
        ("narrower, without a gate", json!({}), json!({"spec": {"nodeSelector": {"c": "d"}}}), only),
        (
            "an AppArmor annotation",
            json!({}),
            json!({"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}}),
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: Forbidden: may not add AppArmor annotations",
        ),
    ];
    for (name, spec, patch, want) in cases {
        check(name, &update(&pod(&spec), &patch), want);
    }
}

/// A pod of an older version has none of the defaults that came later; it is still the same pod.
#[test]
fn a_pod_that_was_stored_before_a_default_was_known_can_be_labelled() {
    let registry = kinds::all();
    let mut object = pod(&json!({"hostNetwork": false, "containers": [{"name": "c", "image": "x",
        "resources": {"limits": {"cpu": "0.5"}}, "lifecycle": {"postStart": {"httpGet": {"port": 80}}}}]}));
    let version = version(&registry, &object);
    let json = serde_json::to_vec(&object).unwrap();
    let stored = version.decode(&json, kinds::FieldValidation::Strict).unwrap().instance;
    object["metadata"]["labels"] = json!({"a": "b"});
    let mut new = defaulted(&version, &object);
    new.prepare_update(&*stored);
    let mut errors = ErrorList::default();
    new.validate_update(&*stored, &mut errors);
    assert_eq!(told(errors), [""; 0]);
}

#[test]
fn what_is_set_once_stays() {
    let meta = json!({"name": "a"});
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": "eA=="}, "immutable": true});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "x"}, "immutable": true});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}});
    let priority =
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": meta, "value": 5});
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": meta,
        "spec": {"controller": "example.io/ns/name"}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta,
        "addressType": "IPv4", "endpoints": []});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": meta,
        "spec": {"podCIDRs": ["10.0.0.0/24"], "providerID": "x"}});
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": meta,
        "eventTime": "2026-01-01T00:00:00.000000Z", "regarding": {"kind": "Pod", "namespace": "default", "name": "x"},
        "reportingController": "a.b/c", "reportingInstance": "i", "action": "A", "reason": "R", "type": "Normal"});
    let immutable = "Invalid value";
    let cases = [
        (
            "a deployment's selector",
            &deployment,
            json!({"spec": {"selector": {"matchLabels": {"c": "d"}},
                "template": {"metadata": {"labels": {"c": "d"}}}}}),
            "spec.selector: Invalid value",
        ),
        ("a deployment's replicas", &deployment, json!({"spec": {"replicas": 3}}), ""),
        (
            "a secret's type",
            &secret,
            json!({"type": "a/b"}),
            "type: Invalid value: \"a/b\": field is immutable",
        ),
        (
            "a secret that stays",
            &secret,
            json!({"data": {"a": "eQ=="}}),
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            "a config map that stays",
            &map,
            json!({"immutable": false}),
            "immutable: Forbidden: field is immutable when `immutable` is set",
        ),
        ("a binding's role", &binding, json!({"roleRef": {"name": "edit"}}), "roleRef: Invalid value"),
        ("a priority", &priority, json!({"value": 6}), "value: Forbidden: may not be changed in an update."),
        (
            "whether it pushes others away",
            &priority,
            json!({"preemptionPolicy": "Never"}),
            "preemptionPolicy: Invalid value: \"Never\": field is immutable",
        ),
        (
            "an ingress class's controller",
            &class,
            json!({"spec": {"controller": "example.io/other"}}),
            "spec.controller: Invalid value: \"example.io/other\": field is immutable",
        ),
        ("a slice's type of address", &slice, json!({"addressType": "IPv6"}), "addressType: Invalid value"),
        (
            "a node's pod network",
            &node,
            json!({"spec": {"podCIDRs": ["10.0.1.0/24"]}}),
            "spec.podCIDRs: Forbidden",
        ),
        ("a node's provider", &node, json!({"spec": {"providerID": "y"}}), "spec.providerID: Forbidden"),
        ("a node's taints", &node, json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}), ""),
        (
            "an event's reason",
            &event,
            json!({"reason": "S"}),
            "reason: Invalid value: \"S\": field is immutable",
        ),
        (
            "an event's series",
            &event,
            json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}),
            "",
        ),
        (
            "an event's series of one",
            &event,
            json!({"series": {"count": 1, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}),
            immutable,
        ),
    ];
    for (name, old, patch, want) in cases {
        check(name, &update(old, &patch), want);
    }
}

#[test]
fn a_service_changes_its_type_and_gives_up_what_the_new_one_does_not_have() {
    let nodes = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 31000}]});
    let balancer = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31001,
        "loadBalancerClass": "a.b/c", "ports": [{"port": 80, "nodePort": 31000}]});
    let named = json!({"spec": {"type": "ExternalName", "externalName": "a.b"}});
    let cases = [
        ("from the node's port to a name", nodes.clone(), named.clone(), ""),
        ("from the node's port to the cluster", nodes.clone(), json!({"spec": {"type": "ClusterIP"}}), ""),
        ("from a balancer to the cluster", balancer.clone(), json!({"spec": {"type": "ClusterIP"}}), ""),
        ("from a balancer to the node's port", balancer.clone(), json!({"spec": {"type": "NodePort"}}), ""),
        ("from a balancer to a name", balancer.clone(), named, ""),
        (
            "to the cluster with another node port",
            nodes,
            json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 31002}]}}),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            "to a name with another address",
            json!({}),
            json!({"spec": {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.11"}}),
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
        ),
        (
            "from a name to the cluster",
            json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": null,
            "clusterIPs": null, "ipFamilies": null, "ipFamilyPolicy": null}),
            json!({"spec": {"type": "ClusterIP"}}),
            "",
        ),
        (
            "another address",
            json!({}),
            json!({"spec": {"clusterIP": "10.96.0.11"}}),
            "spec.clusterIPs[0]: Invalid value: [\"10.96.0.11\"]: may not change once set",
        ),
        (
            "no address any more",
            json!({}),
            json!({"spec": {"clusterIP": "None"}}),
            "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set",
        ),
        (
            "another class",
            balancer.clone(),
            json!({"spec": {"loadBalancerClass": "a.b/d"}}),
            "spec.loadBalancerClass: Invalid value: \"a.b/d\": may not change once set",
        ),
        (
            "another health check",
            balancer,
            json!({"spec": {"healthCheckNodePort": 31002}}),
            "spec.healthCheckNodePort: Forbidden: field is immutable",
        ),
        (
            "affinity no longer",
            json!({"sessionAffinity": "ClientIP"}),
            json!({"spec": {"sessionAffinity": "None"}}),
            "",
        ),
    ];
    for (name, spec, patch, want) in cases {
        check(name, &update(&service(&spec), &patch), want);
    }
}

#[test]
fn volumes_and_claims_stay_what_they_are() {
    let meta = json!({"name": "a"});
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let mut named = claim.clone();
    merge(&mut named["spec"], &json!({"volumeName": "v", "storageClassName": "fast"}));
    let mut annotated = claim.clone();
    annotated["metadata"]["annotations"] = json!({"volume.beta.kubernetes.io/storage-class": "fast"});
    let mut with_attributes = volume.clone();
    let csi = json!({"driver": "d.example.com", "volumeHandle": "h"});
    merge(
        &mut with_attributes["spec"],
        &json!({"hostPath": null, "csi": csi, "volumeAttributesClassName": "quick"}),
    );
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, "provisioner": "p"});
    let frozen = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    let cases = [
        ("a volume for a claim", &volume, json!({"spec": {"claimRef": {"name": "c", "namespace": "d"}}}), ""),
        ("a volume that is kept", &volume, json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}}), ""),
        (
            "a volume elsewhere",
            &volume,
            json!({"spec": {"hostPath": {"path": "/other"}}}),
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
        ),
        (
            "a volume that is a device",
            &volume,
            json!({"spec": {"volumeMode": "Block"}}),
            "field is immutable",
        ),
        ("a claim's volume", &claim, json!({"spec": {"volumeName": "v"}}), ""),
        ("a claim's other volume", &named, json!({"spec": {"volumeName": "w"}}), frozen),
        ("a claim's class, later", &claim, json!({"spec": {"storageClassName": "fast"}}), ""),
        ("a claim's other class", &named, json!({"spec": {"storageClassName": "slow"}}), frozen),
        (
            "more than was claimed",
            &claim,
            json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
            frozen,
        ),
        (
            "the same, written otherwise",
            &claim,
            json!({"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}),
            "",
        ),
        ("another mode", &claim, json!({"spec": {"accessModes": ["ReadWriteMany"]}}), frozen),
        (
            "a class by an annotation, later",
            &claim,
            json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}}}),
            "metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: \"fast\": field is immutable",
        ),
        (
            "a class by an annotation that becomes the field's",
            &annotated,
            json!({"metadata": {"annotations": null}, "spec": {"storageClassName": "fast"}}),
            "",
        ),
        (
            "a class by an annotation that becomes another",
            &annotated,
            json!({"metadata": {"annotations": null}, "spec": {"storageClassName": "slow"}}),
            "metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: \"\": field is immutable",
        ),
        (
            "no class of attributes any more",
            &with_attributes,
            json!({"spec": {"volumeAttributesClassName": null}}),
            "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden",
        ),
        ("a class that lets its volumes grow", &class, json!({"allowVolumeExpansion": true}), ""),
        (
            "another maker",
            &class,
            json!({"provisioner": "q"}),
            "provisioner: Forbidden: updates to provisioner are forbidden.",
        ),
        (
            "other parameters",
            &class,
            json!({"parameters": {"a": "b"}}),
            "updates to parameters are forbidden.",
        ),
        (
            "another policy",
            &class,
            json!({"reclaimPolicy": "Retain"}),
            "updates to reclaimPolicy are forbidden.",
        ),
        ("another time", &class, json!({"volumeBindingMode": "WaitForFirstConsumer"}), "field is immutable"),
    ];
    for (name, old, patch, want) in cases {
        check(name, &update(old, &patch), want);
    }
}

#[test]
fn a_fault_of_old_is_forgiven_and_a_new_one_is_not() {
    let registry = kinds::all();
    let stored = pod(&json!({"dnsPolicy": "Bogus"}));
    let version = version(&registry, &stored);
    let faults = |spec: Value| {
        let mut errors = ErrorList::default();
        created(&version, &pod(&spec)).validate(&mut errors);
        errors
    };
    let before = faults(json!({"dnsPolicy": "Bogus"}));
    for (name, spec, want) in [
        ("the same fault", json!({"dnsPolicy": "Bogus", "hostname": "b"}), ""),
        ("another value", json!({"dnsPolicy": "Other"}), "spec.dnsPolicy: Unsupported value: \"Other\""),
        ("another fault", json!({"dnsPolicy": "Bogus", "hostname": "a.b"}), "spec.hostname: Invalid value"),
    ] {
        let mut errors = faults(spec);
        errors.forgive(&before);
        check(name, &told(errors), want);
    }
}

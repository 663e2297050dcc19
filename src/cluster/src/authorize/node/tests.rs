//! What the question alone decides.

use super::*;
use ::api::FieldSelector;

/// `VERB RESOURCE[.GROUP][/PART] [NAMESPACE/]NAME?FIELDS`, each as far as it is there.
fn asked(what: &str) -> Attributes {
    let mut words = what.split(' ');
    let (verb, resource) = (words.next().unwrap(), words.next().unwrap());
    let (object, fields) = words.next().unwrap_or_default().split_once('?').unwrap_or_default();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (namespace, name) = object.split_once('/').unwrap_or(("", object));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Attributes {
        verb: verb.to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: some(namespace),
        name: some(name),
        fields: FieldSelector::parse(fields).unwrap(),
        ..Attributes::default()
    }
}

#[test]
fn what_needs_no_object_is_decided_by_the_question() {
    const LEASE: &str = "can only access node lease with the same name as the requesting node";
    const NODE: &str = "can only access CSINode with the same name as the requesting node";
    let store = store::Store::in_memory(store::Options::default());
    for (what, want) in [
        ("list services ?", Ok(())),
        ("list secrets ?", Err("can only read namespaced object of this type")),
        ("list secrets default/?", Err("No Object name found")),
        ("delete secrets default/s?", Err("can only read resources of this type")),
        ("get secrets default/s?", Err("no relationship found between node 'n' and this object")),
        ("list persistentvolumes ?", Err("can only get individual resources of this type")),
        ("get persistentvolumeclaims/status default/c?", Err("can only get/update/patch this type")),
        ("get nodes n?", Ok(())),
        ("get nodes m?", Err("node 'n' cannot read 'm', only its own Node object")),
        ("list nodes ?", Err("node 'n' cannot read all nodes, only its own Node object")),
        ("delete nodes n?", Err("")),
        ("list pods ?", Err("can only list/watch pods with spec.nodeName field selector")),
        ("list pods ?spec.nodeName=n", Ok(())),
        ("list pods ?spec.nodeName=m", Err("can only list/watch pods with spec.nodeName field selector")),
        ("watch pods ?spec.nodeName!=n", Err("can only list/watch pods with spec.nodeName field selector")),
        ("update pods default/p?", Err("")),
        ("create pods/eviction default/p?", Ok(())),
        ("create pods/binding default/p?", Err("")),
        (
            "create serviceaccounts/token default/?",
            Err("can only create tokens for individual service accounts"),
        ),
        ("create deployments.apps default/d?", Err("")),
        ("create leases.coordination.k8s.io kube-node-lease/?", Ok(())),
        ("update leases.coordination.k8s.io kube-node-lease/n?", Ok(())),
        ("update leases.coordination.k8s.io kube-node-lease/m?", Err(LEASE)),
        (
            "get leases.coordination.k8s.io default/n?",
            Err("can only access leases in the \"kube-node-lease\" system namespace"),
        ),
        ("update csinodes.storage.k8s.io n?", Ok(())),
        ("delete csinodes.storage.k8s.io m?", Err(NODE)),
        ("list csinodes.storage.k8s.io ?", Err("can only get, create, update, patch, or delete a CSINode")),
    ] {
        let judged = judge(&store.snapshot(), "n", &asked(what));
        assert_eq!(judged.as_ref().map_err(String::as_str), want.as_ref().map_err(|why| *why), "{what}");
    }
}

//! What may still be written when the store has as much as it may have. Deleting and shrinking always may; so that it comes to that,
//! the machine's own parts go on: the node says that it lives, statuses are true, finalizers end. What they make for users (the
//! pods of a ReplicaSet) waits with all else that is new.

use crate::{Actor, Target};
use store::Priority;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    Update,
}

pub(crate) fn priority(actor: &Actor, target: &Target, step: Step) -> Priority {
    let gvr = &target.version.info().gvr;
    of(actor, (&*gvr.group, &*gvr.resource), step)
}

fn of(actor: &Actor, (group, resource): (&str, &str), step: Step) -> Priority {
    if resource == "events" && ["", "events.k8s.io"].contains(&group) {
        return Priority::Low;
    }
    let name = actor.name.as_str();
    let is_node = actor.is_own_kubelet() || actor.client_node().is_some();
    let is_machine = name == "system:apiserver" || is_node;
    let is_component =
        name.starts_with("system:kube-") || name.starts_with("system:serviceaccount:kube-system:");
    match step {
        _ if is_machine => Priority::Essential,
        Step::Update if is_component => Priority::Essential,
        Step::Create | Step::Update => Priority::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_parts_go_on_and_what_is_new_waits() {
        use Priority::{Essential, Low, Normal};
        let (user, node) = (Actor::user("dev", &[]), Actor::node("here"));
        let (controller, scheduler) =
            (Actor::controller("replicaset-controller"), Actor::component("system:kube-scheduler"));
        let (lease, pod) = (("coordination.k8s.io", "leases"), ("", "pods"));
        let cases = [
            ("a user makes", &user, ("", "configmaps"), Step::Create, Normal),
            ("a user changes", &user, ("", "configmaps"), Step::Update, Normal),
            ("an administrator is a user", &Actor::user("a", &[Actor::MASTERS]), pod, Step::Create, Normal),
            ("the node lives", &node, lease, Step::Create, Essential),
            ("the node of the process", &Actor::own_kubelet("here"), pod, Step::Update, Essential),
            ("a user with a node's name", &Actor::user("system:node:here", &[]), lease, Step::Create, Normal),
            ("a pod's status", &node, pod, Step::Update, Essential),
            ("the first objects", &Actor::root(), ("", "namespaces"), Step::Create, Essential),
            ("a pod of a ReplicaSet", &controller, pod, Step::Create, Normal),
            ("a ReplicaSet's status", &controller, ("apps", "replicasets"), Step::Update, Essential),
            ("a binding", &scheduler, pod, Step::Update, Essential),
            ("another namespace's account", &Actor::service_account("mine", "x"), pod, Step::Update, Normal),
            ("an event", &node, ("", "events"), Step::Create, Low),
            ("an event of the newer group", &controller, ("events.k8s.io", "events"), Step::Update, Low),
            ("a user's own kind", &user, ("example.com", "events"), Step::Create, Normal),
        ];
        for (name, actor, resource, step, want) in cases {
            assert_eq!(of(actor, resource, step), want, "{name}");
        }
    }
}

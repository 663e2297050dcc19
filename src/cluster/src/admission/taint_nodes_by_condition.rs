//! Upstream's TaintNodesByCondition: a new node is taken for one that is not ready, until the node controller has seen it. Else
//! pods would be put on it before anybody knows how it is.

use super::plugin::{Plugin, Step};
use super::review::Review;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Node, Taint};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const EFFECT: &str = "NoSchedule";

pub(super) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.creates::<Node>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        if let Some(node) = review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            taint(node);
        }
        Ok(())
    }
}

fn taint(node: &mut Node) {
    let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
    if !taints.iter().any(|taint| taint.key == NOT_READY && taint.effect == EFFECT) {
        taints.push(Taint { key: NOT_READY.to_owned(), effect: EFFECT.to_owned(), ..Taint::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_new_node_is_not_ready() {
        let not_ready = json!({"key": NOT_READY, "effect": EFFECT});
        let evicts = json!({"key": NOT_READY, "effect": "NoExecute"});
        for (case, given, want) in [
            ("none", json!([]), json!([not_ready])),
            ("it says so itself", json!([not_ready]), json!([not_ready])),
            ("another effect", json!([evicts]), json!([evicts, not_ready])),
        ] {
            let mut node: Node = serde_json::from_value(json!({"spec": {"taints": given}})).unwrap();
            taint(&mut node);
            assert_eq!(json!(node)["spec"]["taints"], want, "{case}");
        }
        let mut node = Node::default();
        taint(&mut node);
        let taints: Value = json!(node)["spec"]["taints"].clone();
        assert_eq!(taints, json!([not_ready]), "no spec");
    }
}

//! The taint by which an administrator says that a node is off and stays so (KEP-2268). What its kubelet would have to say first,
//! that pods have ended and volumes are no longer mounted, is taken as said.

use k8s_openapi::api::core::v1::Node;

const TAINT: &str = "node.kubernetes.io/out-of-service";

/// Whatever its value and effect, as upstream asks.
pub(crate) fn is_out_of_service(node: &Node) -> bool {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).any(|taint| taint.key == TAINT)
}
